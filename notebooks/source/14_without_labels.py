# %% [markdown]
# # 14 · Pretraining without labels
#
# **Question: what can a network learn from images that nobody has labelled, and how much is it worth beside labels?**
#
# Reading time: about 30 minutes; running it takes about a minute. You need: notebooks 01 (cross-entropy), 03
# (frozen features, few-shot curves) and 06 (views). It runs offline.
#
# In notebook 00 you wrote `base = keras.Model(network.input, network.get_layer("avg_pool").output, name="base")`: that base
# came from ImageNet, whose every image had been labelled by people. Here a base is made without a single label. Section 7
# writes that in plain Keras.
#
# | word | meaning here |
# |---|---|
# | self-supervised | the task is made from the examples themselves, so that no label is needed |
# | pretext task | such a task; nobody wants its answers, only what a network learns from it |
# | contrastive | the pretext task is: which two views show the same image? |
# | projection head | dense layers behind the base that answer the pretext task and are then thrown away |
# | linear probe | logistic regression on frozen features, as in notebook 03: it measures what a base has learned |

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import tensorflow as tf

import tlkit
from tlkit import plots
from tlkit.backbones import small_resnet
from tlkit.views import Views, random_views
from tlkit.widgets import Predict

# %%
SEED = 0
IMAGES, EPOCHS, BATCH, RATE = 1000, 4, 64, 2e-3  # the small pretrainings that run here
WIDTHS = (8, 16, 32, 64)  # a quarter of the bundled network's
TEMPERATURE = 0.2
PER_CLASS = 10  # labels of each digit for a probe: 100 in all
plt.rcParams["image.interpolation"] = "nearest"  # show pixels as they are

# %% [markdown]
# ## 1. Which two show the same?
#
# The bundled `printed` domain has 34,862 glyphs of 62 characters. From here on their labels are hidden; only pixels are
# left. SimCLR (Chen et al., 2020, arXiv:2002.05709) asks this of a batch of images: make two random views of each one, mix
# all of them, and find the two that belong together. The answer is known, because we made the views.

# %%
glyphs = tlkit.load_domain("printed").train.x  # (34862, 28, 28, 1), and no y
some = glyphs[np.random.default_rng(SEED).permutation(len(glyphs))[:IMAGES]]
rows = [some[:10], *(random_views(some[:10], seed=seed) for seed in (1, 2))]
ax = plt.subplots(figsize=(7, 2.3), layout="constrained")[1]
ax.imshow(np.concatenate([np.concatenate(list(row[..., 0]), axis=1) for row in rows]), cmap="gray_r", vmin=0, vmax=255)
ax.set_xticks([])
ax.set_yticks([14, 42, 70], ["glyph", "one view", "another"])
ax.tick_params(length=0)

# %% [markdown]
# `Views` says what may differ: rotation, shift, zoom, the width of strokes, contrast, noise. Its defaults do not mirror,
# since a mirrored letter is another letter or none (notebook 06). To answer, the network must find what *stays*: the shape.
# It is never told that two different images show the same letter; for this task they are as different as A and B.
#
# **Predict before you run:** a batch has 64 images. Among how many other views must each view find its partner?

# %%
others = Predict("Among how many others must each view find its partner?", between=(0, 200))
others

# %%
others.compare(2 * BATCH - 1)

# %% [markdown]
# All 128 views are in one heap, and nobody is compared with itself: 127 others, one of which is right. A network that
# guesses is right once in 127 times.

# %% [markdown]
# ## 2. NT-Xent, written out
#
# The loss has a long name, *normalised temperature-scaled cross-entropy*, and no new idea: it is the cross-entropy of
# notebook 01, with the other views as classes. The network turns view $i$ into a vector $z_i$. The logit for "my partner
# is $k$" is their cosine over a constant, the temperature $\tau$:
#
# $$s_{ik} = \frac{z_i \cdot z_k}{\lVert z_i \rVert \lVert z_k \rVert} \qquad
# \ell_i = -\log \frac{\exp(s_{ij} / \tau)}{\sum_{k \ne i} \exp(s_{ik} / \tau)} \qquad j \text{: the partner of } i$$
#
# The loss of a batch of $n$ images is the mean of all $2n$ values $\ell_i$.


# %%
def nt_xent(one, two, temperature):
    both = np.concatenate([one, two])  # (2n, d)
    both = both / np.linalg.norm(both, axis=1, keepdims=True)
    logits = both @ both.T / temperature
    np.fill_diagonal(logits, -np.inf)  # nobody is its own partner
    n, top = len(one), logits.max(axis=1)
    partner = np.concatenate([np.arange(n, 2 * n), np.arange(n)])
    log_sum = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))  # without the largest, exp could overflow
    return float(np.mean(log_sum - logits[np.arange(2 * n), partner]))


# %% [markdown]
# Is it right? Compare it with scikit-learn's `log_loss`, which knows nothing of views, with `tlkit.nt_xent`, and its
# gradient with central differences.

# %% tags=["summary-1"]
from sklearn.metrics import log_loss

rng = np.random.default_rng(SEED)
one, two = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
both = np.concatenate([one, two]) / np.linalg.norm(np.concatenate([one, two]), axis=1, keepdims=True)
exps = np.exp(both @ both.T / TEMPERATURE) * (1 - np.eye(12))
by_scikit_learn = log_loss(np.roll(np.arange(12), 6), exps / exps.sum(axis=1, keepdims=True), labels=range(12))
assert np.isclose(nt_xent(one, two, TEMPERATURE), by_scikit_learn)
assert np.isclose(nt_xent(one, two, TEMPERATURE), tlkit.nt_xent(one, two, temperature=TEMPERATURE), rtol=1e-5)
print("three ways, one number")

# %% tags=["summary-1"]
variable, step = tf.Variable(one, dtype="float32"), 1e-5
with tf.GradientTape() as tape:
    loss = tlkit.nt_xent(variable, tf.constant(two, "float32"), temperature=TEMPERATURE)
gradient = tape.gradient(loss, variable).numpy()
for index in np.ndindex(one.shape):
    up, down = one.copy(), one.copy()
    up[index], down[index] = one[index] + step, one[index] - step
    difference = (nt_xent(up, two, TEMPERATURE) - nt_xent(down, two, TEMPERATURE)) / (2 * step)
    assert np.isclose(gradient[index], difference, rtol=1e-3, atol=1e-4)

# %% [markdown]
# **Predict before you run:** a lazy network gives every image the same vector. What is its loss in a batch of 64 images?

# %%
lazy = Predict("The loss (nats) of a network that gives every image the same vector", between=(0, 10))
lazy

# %% tags=["summary-1"]
alike = np.ones((BATCH, 4))
assert np.isclose(nt_xent(alike, alike, TEMPERATURE), np.log(2 * BATCH - 1))  # a guess among 127
assert np.isclose(nt_xent(3 * one, two / 5, TEMPERATURE), nt_xent(one, two, TEMPERATURE))  # lengths do not count
lazy.compare(float(np.log(2 * BATCH - 1)))

# %% [markdown]
# A guess among 127 costs log 127 nats. So views of one image must be drawn together, and all others pushed apart: the
# second part keeps the network from calling everything the same.
#
# What is the temperature for? By notebook 01 the gradient with respect to a logit is the softmax minus 1 for the right
# one. So a wrong view pushes with its softmax probability. Here are ten wrong views, from opposite (cosine −1) to the same
# direction (1):

# %%
cosines = np.linspace(-1, 1, 10)
ax = plt.subplots(figsize=(6, 3), layout="constrained")[1]
push = {}
for temperature, color in zip((1.0, 0.2, 0.05), plots.PALETTE, strict=False):
    push[temperature] = np.exp(cosines / temperature) / np.exp(cosines / temperature).sum()
    ax.plot(cosines, push[temperature], "o-", color=color, label=f"temperature {temperature:g}")
ax.set(xlabel="cosine of a wrong view", ylabel="its share of the push")
ax.legend(frameon=False)
sns.despine(ax=ax)

# %% tags=["summary-1"]
nearest = [push[temperature][-1] for temperature in (1.0, 0.2, 0.05)]
assert nearest[0] < 0.25 < 0.6 < nearest[1] < 0.95 < nearest[2]

# %% [markdown]
# The three curves rise to the right: the nearest wrong view pushes most. At temperature 1 the others push, too; at 0.05 it is
# alone. This course takes 0.2.

# %% [markdown]
# ## 3. A small pretraining
#
# A narrow ResNet, 1,000 glyphs, four passes. Behind it stands a projection head of two dense layers; the loss sees what
# comes out of the head. Then the head is thrown away, and a linear probe reads handwritten digits from the frozen base,
# with ten labels of each. It has never seen handwriting.


# %%
def probe(backbone, name, draw=SEED):
    domain = tlkit.load_pair("printed", name).target
    parts = (domain.train.take(PER_CLASS, seed=draw), domain.test)
    return tlkit.linear_probe(*(tlkit.cache_features(backbone.model, part, cache_dir="memory") for part in parts))


def fresh():
    return tlkit.wrap_backbone(small_resnet(widths=WIDTHS, seed=SEED))


# %% [markdown]
# **Predict before you run:** on mnist, how many points will the pretraining add to the probe's accuracy?

# %%
points = Predict("How many points does the probe on mnist gain by it?", between=(-20, 60))
points


# %% tags=["nbval-ignore-output"]
def pretrained(views, epochs):
    backbone, options = fresh(), {"batch_size": BATCH, "seed": SEED, "progress": False}
    history = tlkit.pretrain_contrastive(
        backbone, some, epochs=epochs, learning_rate=RATE, views=views, temperature=TEMPERATURE, **options
    )
    return backbone, history


backbone, history = pretrained(Views(), EPOCHS)
history.round(3)

# %% [markdown]
# `accuracy` is the share of views whose nearest other view is their partner. Guessing gives less than one in a hundred.

# %% tags=["nbval-ignore-output"]
live = {name: (probe(fresh(), name), probe(backbone, name)) for name in ("mnist", "optdigits")}
pd.DataFrame(live, index=["not pretrained", "pretrained without labels"]).T.round(3)

# %% tags=["nbval-ignore-output"]
points.compare(100 * (live["mnist"][1] - live["mnist"][0]))

# %%
assert history["loss"].iloc[-1] < history["loss"].iloc[0] - 0.3
assert history["accuracy"].iloc[-1] > 5 / (2 * BATCH - 1)
assert live["mnist"][1] > live["mnist"][0] + 0.05

# %% [markdown]
# The network has learned something about handwriting from print, without any label. One network is one network: section 5
# has ten of each kind.
#
# **What if the two views are equal?** Then the partner is found by every pixel.
#
# **Predict before you run:** with views that change nothing, is the contrastive accuracy higher or lower? And the probe's?

# %%
equal_views = Predict("With equal views, the probe is ...", choices=["better", "worse", "as good"])
equal_views

# %% tags=["nbval-ignore-output"]
NO_VIEWS = Views(rotation=0.0, shift=0.0, zoom=0.0, strokes=0.0, contrast=0.0, noise=0.0)
too_easy, easy_history = pretrained(NO_VIEWS, epochs=2)  # more than it needs
easy_history.round(3)

# %% tags=["summary-3"]
assert easy_history["accuracy"].iloc[-1] > 0.95 > history["accuracy"].iloc[-1]
easy = {name: probe(too_easy, name) for name in ("mnist", "optdigits")}
equal_views.compare("worse" if easy["mnist"] < live["mnist"][1] - 0.01 else "as good")

# %% [markdown]
# The task is solved nearly without a mistake. A pretext task that is solved says nothing about what was learned: there is
# no score without a task that somebody wants. Section 5 shows what such a network is worth.

# %% [markdown]
# ## 4. Beside labels
#
# `resnet_printed_ssl` is bundled: the very network of `resnet_printed`, pretrained on the very same 34,862 glyphs, with the
# loss of section 2 in place of the labels' cross-entropy (`tlkit/assets/PRETRAINING.md` has the recipe). Now both read
# handwriting, with 1 to 50 labels of each digit, beside three baselines: raw pixels, the same network with random weights,
# and a small network trained from scratch, whose rate and epochs were tuned for each number of labels. Ten draws of the labels, the same for all; `tools/pretraining_tables.py` measured it.

# %%
stored = tlkit.stored_table("without_labels")
print(*(f"# {key}: {text}" for key, text in stored.attrs.items()), sep="\n")
METHODS = ["raw pixels", "random network", "scratch", "self-supervised", "supervised"]

# %% [markdown]
# **Predict before you look:** with ten labels of each digit of mnist, how far behind the supervised network is the
# self-supervised one, in points?

# %%
behind = Predict("How many points is the self-supervised network behind, mnist, 10 labels per class?", between=(0, 50))
behind

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for ax, (name, rows) in zip(axes, stored.groupby("domain"), strict=True):
    curve = rows.rename(columns={"test": "accuracy"})
    curve["method"] = pd.Categorical(curve["method"], METHODS)
    plots.plot_few_shot(curve.sort_values("method", kind="stable").astype({"method": str}), ax=ax)
    ax.set_title(name)
axes[0].get_legend().remove()


# %% [markdown]
# Each line is a mean of ten draws, each band its 95 % interval. The bands compare draws of the labels with one another;
# what compares two *methods* is the difference draw by draw, and its interval:


# %%
def interval(values):
    mean, half = tlkit.mean_interval(100 * values)
    return pd.Series({"points": mean, "low": mean - half, "high": mean + half})


def gains(table, which, better, worse):
    wide = table.pivot_table(index=["domain", "per_class", "draw"], columns=which, values="test")
    difference = (wide[better] - wide[worse]).dropna()
    return pd.DataFrame({at: interval(values) for at, values in difference.groupby(["domain", "per_class"])}).T


# %%
def in_words(each):
    return [f"{row.points:+.1f} ({row.low:+.1f} to {row.high:+.1f})" for row in each.itertuples()]


others = [method for method in METHODS if method != "self-supervised"]
over = {other: gains(stored, "method", "self-supervised", other) for other in others}
pd.DataFrame({other: pd.Series(in_words(each), each.index) for other, each in over.items()}).fillna("")

# %% [markdown]
# Read it column by column. Against raw pixels and against random weights every interval is above 0: the network has learned
# something from pixels alone that helps to read handwriting, with 1 label per class as with 50. Against labels every interval
# is below 0. The gap is 29 points with one label of each mnist digit and 3 points with 50: the more labels the target has, the
# less it matters where the base came from.
#
# The column *scratch* is the disappointing one. With ten labels of each digit, on both domains, a small network that was
# tuned, and that saw nothing but these 100 images and moved views of them, is about as good as the probe on the network that
# saw 34,862 glyphs: the intervals hold 0. With one or two labels of each digit the pretrained network is clearly ahead, on both
# domains. With 50 no difference shows on mnist, and on optdigits scratch is ahead by less than a point.

# %% tags=["summary-2"]
assert (over["raw pixels"]["low"] > 0).all()
assert (over["random network"]["low"] > 0).all()
assert (over["supervised"]["high"] < 0).all()
assert over["supervised"].loc[("mnist", 1), "points"] < -25 < -5 < over["supervised"].loc[("mnist", 50), "points"]
ten = over["scratch"].xs(10, level=1)
assert ((ten["low"] < 0) & (ten["high"] > 0)).all()
assert (over["scratch"].xs(1, level=1)["low"] > 3).all()
assert (over["scratch"].xs(2, level=1)["low"] > 1).all()
fifty = over["scratch"].xs(50, level=1)
assert fifty.loc["mnist", "low"] < 0 < fifty.loc["mnist", "high"]
assert fifty.loc["optdigits", "high"] < 0 < fifty.loc["optdigits", "points"] + 1

# %% [markdown]
# Be fair to both sides. The supervised network had 22 passes and richer views, the self-supervised one four passes, which
# is what its half an hour allowed; its loss was still falling. There is one pretraining of each kind, so the intervals say
# how sure the result is for *these two networks*, not for the two methods.

# %%
behind.compare(-over["supervised"].loc[("mnist", 10), "points"])

# %% [markdown]
# ## 5. What the views teach
#
# A view says which differences do *not* matter. The narrow network of section 3 was pretrained again for each of these
# sets of views, with ten seeds; seed k makes the start weights, chooses the glyphs, makes the views and draws the labels,
# so that kinds can be compared seed by seed.
#
# **Predict before you look:** which change hurts most?

# %%
ablation = tlkit.stored_table("without_labels_views").assign(per_class=PER_CLASS)
print(*(f"# {key}: {text}" for key, text in ablation.attrs.items()), sep="\n")
KINDS = list(ablation["views"].unique())
worst = Predict("On mnist, which of these sets of views is the worst to learn from?", choices=KINDS[2:])
worst

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
for ax, (name, rows) in zip(axes, ablation.groupby("domain"), strict=True):
    for place, kind in enumerate(KINDS):
        values = rows.loc[rows["views"] == kind, "test"]
        ax.plot(values, np.full(len(values), place), ".", color=plots.TARGET_COLOR, alpha=0.4)
        ax.plot(values.mean(), place, "|", color=plots.TARGET_COLOR, markersize=16, markeredgewidth=3)
    ax.set(xlabel=f"accuracy of the probe, {name}")
axes[0].set_yticks(range(len(KINDS)), KINDS)
axes[0].invert_yaxis()
sns.despine()

# %% [markdown]
# Each point is one seed, each bar the mean of ten. The same, minus "all views", seed by seed:

# %%
less = {kind: gains(ablation, "views", kind, "all views") for kind in KINDS if kind != "all views"}
pd.DataFrame({kind: in_words(each) for kind, each in less.items()}, less["no views"].index).T

# %%
means = ablation[ablation["domain"] == "mnist"].groupby("views")["test"].mean()
worst.compare(means[KINDS[2:]].idxmin())

# %% [markdown]
# - **No views at all** is worst by far, on both domains. It is worse than no pretraining: the network learned to tell glyphs
#   apart by whatever detail comes first, and so solved the task of section 3 without a mistake.
# - **With views** the small pretraining is worth 18 points on mnist. On optdigits it is worth nothing that ten seeds could show.
# - **One kind of view more or less** counts little in these 64 steps. One difference is clear: without shifts and zooms the
#   probe on optdigits is *better*, by about four points. Its digits are all framed alike, so where a digit stands is no
#   nuisance there. The other intervals hold 0 or miss it narrowly, and among so many intervals some will miss it by chance.
#
# So there are no good views as such: it depends on what the *target* asks for. Do not read more into it: these are short
# pretrainings of a narrow network. What pays in the long run, this table does not say.

# %% tags=["summary-3"]
at = {name: {kind: each.loc[(name, PER_CLASS)] for kind, each in less.items()} for name in ("mnist", "optdigits")}
untrained = gains(ablation, "views", "no views", "not pretrained")
assert (untrained["high"] < -5).all()
assert (less["no views"]["high"] < -10).all()
assert -30 < at["mnist"]["not pretrained"].low < at["mnist"]["not pretrained"].high < -10
assert at["optdigits"]["not pretrained"].low < 0 < at["optdigits"]["not pretrained"].high
assert at["optdigits"]["no shift, no zoom"].low > 1
assert all(abs(at[name][kind].points) < 5 for name in at for kind in ("no rotation", "no noise", "with flips"))

# %% [markdown]
# ## 6. Other tasks without labels, and what "unlabelled" means
#
# **Turns.** Gidaris et al. (2018, arXiv:1803.07728) turn each image by 0 to 3 quarter turns and ask by how many. That is
# classification, and `tlkit.fit` does it; `tlkit.pretrain_rotation` is these lines:

# %%
turned = tlkit.rotation_split(some[:400])
base = fresh()
model = tlkit.join(base.model, tlkit.build_head(base, n_classes=4))
tlkit.freeze_to(base, 0, train_batchnorm=True)
tlkit.fit(model, turned, epochs=5, learning_rate=RATE, seed=SEED, progress=False)
held_out = tlkit.load_domain("printed").test[::8]  # fonts that no training has seen
asked = tlkit.rotation_split(held_out.x)
right = tlkit.predict_classes(model, asked) == asked.y

# %% [markdown]
# **Predict before you run:** for which of the 62 characters must this task be hard, whatever the network?

# %% tags=["nbval-ignore-output"]
characters = tlkit.load_domain("printed").classes
score = pd.Series(right).groupby(np.tile(held_out.y, 4)).mean().rename(index=dict(enumerate(characters)))
SAME_WHEN_TURNED = list("OoXxHINSsZzl0")  # by half a turn, some by a quarter
hard, rest = score[SAME_WHEN_TURNED].mean(), score.drop(SAME_WHEN_TURNED).mean()
print(f"same when turned: {hard:.2f}, the rest: {rest:.2f}; hardest: {' '.join(score.nsmallest(10).index)}")

# %%
assert hard < rest - 0.05
assert rest > 0.5  # of four turns, a guess finds a quarter

# %% [markdown]
# An O that was turned is still an O: nobody can say by how much, and the loss asks for it all the same. A pretext task has
# its own mistakes built in. Which ones can be borne depends on the data: photographs have a top.
#
# **Hidden words.** A text needs no views. BERT (Devlin et al., 2019, arXiv:1810.04805) hides some of its words and asks for
# them. In this toy language each animal eats one thing:

# %%
EATS = {"cow": "grass", "cat": "fish", "bee": "nectar", "dog": "bones"}
words = ["[PAD]", "[MASK]", "the", "eats", *EATS, *EATS.values()]
animals = np.random.default_rng(SEED).choice(list(EATS), size=400)
texts = np.array([[words.index(word) for word in ("the", a, "eats", EATS[a])] for a in animals], np.int32)
hidden, where = tlkit.mask_tokens(texts[:4], mask_id=1, vocabulary=len(words), share=0.4, seed=SEED)
[" ".join(words[token] for token in text) for text in hidden]

# %% [markdown]
# A network that knows each word's place, and nothing of animals, can name "the" and "eats" and one in four of the others:
# five of eight. Is the rest in reach without anybody's label?

# %% tags=["nbval-ignore-output"]
from tlkit.text import small_bert

encoder = small_bert(blocks=1, width=16, heads=2, inner=32, vocabulary=len(words))
options = {"learning_rate": 5e-3, "batch_size": 32, "seed": SEED, "progress": False}
text_history = tlkit.pretrain_masked(encoder, texts, mask_id=1, epochs=25, **options)
text_history.iloc[[0, 4, 14, 24]].round(2)

# %%
assert text_history["accuracy"].iloc[-1] > 5 / 8 + 0.1

# %% [markdown]
# The network has found out who eats what: the words around a gap are its label.
#
# **What the article means by "unlabelled".** It says that the base is pretrained on "large amounts of unlabelled data", and
# names GPT and ImageNet (notebook [09, section 3](09_article_review.ipynb#cell-id=section-3)). Ask of each who wrote the
# $y$ of its cross-entropy:
#
# | pretraining | $y$ | who wrote it |
# |---|---|---|
# | ImageNet's classification | one of 1,000 names | people, for each image |
# | `resnet_printed` | one of 62 characters | nobody had to: the glyphs were drawn from font files by their character |
# | GPT | the next token | nobody: it is the text |
# | BERT, this section | the hidden token | nobody: it is the text |
# | SimCLR, sections 2 to 5 | the partner | nobody: the program that made the views knows |
#
# For GPT the article's word is right, for ImageNet it is wrong, and neither network learned without a $y$. "Unlabelled" means:
# nobody had to write one. Somebody still chose the task, the views and the images. The glyphs here were drawn and centred,
# one character each, which is a choice by people, too.

# %% [markdown]
# ## 7. The same in plain Keras
#
# A Keras model may say itself what a training step is. Everything else, `compile` and `fit`, stays:


# %%
def projector(base, layers=keras.layers):
    dense = [layers.Dense(128, activation="relu"), layers.Dense(64)]
    return keras.Sequential([base, layers.GlobalAveragePooling2D(), *dense])


def views_of_keras(seed, layers=keras.layers):
    black = {"fill_mode": "constant", "fill_value": 0.0, "seed": seed}
    moves = [layers.RandomRotation(1 / 25, **black), layers.RandomTranslation(0.1, 0.1, **black)]
    return keras.Sequential([*moves, layers.RandomZoom(0.25, **black)])


# %%
def partner_loss(z, temperature=TEMPERATURE):
    z = z / keras.ops.norm(z, axis=1, keepdims=True)
    both = keras.ops.shape(z)[0]
    logits = z @ keras.ops.transpose(z) / temperature - 1e9 * keras.ops.eye(both)  # nobody is its own partner
    partner = keras.ops.roll(keras.ops.arange(both), -(both // 2))
    return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(partner, logits, from_logits=True))


# %%
class SimCLR(keras.Model):
    def __init__(self, base):
        super().__init__()
        self.base, self.network, self.views = base, projector(base), views_of_keras(SEED)

    def train_step(self, images):
        with tf.GradientTape() as tape:
            both = self.views(tf.concat([images, images], axis=0), training=True)  # each image is moved by itself
            loss = partner_loss(self.network(both, training=True))
        self.optimizer.apply(tape.gradient(loss, self.network.trainable_weights), self.network.trainable_weights)
        return {"nt_xent": loss}


# %% tags=["nbval-ignore-output"]
keras.utils.set_random_seed(SEED)
plain = SimCLR(small_resnet(widths=WIDTHS, seed=SEED))
plain.compile(optimizer=keras.optimizers.Adam(RATE))
plain.optimizer.build(plain.network.trainable_weights)  # or `fit` would make the graph of its step twice
log = plain.fit(some.astype("float32"), batch_size=BATCH, epochs=EPOCHS, verbose=0)
[round(loss, 2) for loss in log.history["nt_xent"]]  # of the last batch of each epoch

# %%
pair = np.concatenate([one, two]).astype("float32")
assert np.isclose(partner_loss(pair), nt_xent(one, two, TEMPERATURE), rtol=1e-5)
assert log.history["nt_xent"][-1] < log.history["nt_xent"][0] - 0.2
assert probe(tlkit.wrap_backbone(plain.base), "mnist") > live["mnist"][0] + 0.05

# %% [markdown]
# The loss is that of section 2, number by number, and the base has learned here, too. The views are Keras' own layers
# (notebook 06), fewer than those of `Views`.

# %% [markdown]
# Your guesses beside the results, if you recorded any:

# %%
Predict.report()

# %% [markdown]
# ## Summary
#
# - NT-Xent is the cross-entropy of notebook 01, with the other views of a batch as classes. No label is needed, since the
#   program that made the views knows each one's partner. It depends on directions alone, and a network that gives every image
#   the same vector does no better than a guess.
# - From the same glyphs, the network pretrained without labels was ahead of raw pixels and of random weights with 1 to 50
#   labels per class, on both domains, and behind the one pretrained with labels throughout: on mnist by 29 points with one label
#   per class, by 3 with 50. With ten, a tuned small network from scratch was about as good, with 50 on optdigits a little better;
#   with one or two it was behind.
# - The views are what teaches. Where both views were equal, the task was solved and the features were worse than those of
#   random weights. Which other views help depends on the target: on optdigits the probe was better without shifts and zooms.

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer and run the cell. It says whether the answer is right, and if not, what is missing.
# Hints and solutions are folded.

# %% [markdown]
# **1. Who found the partner?** `one` and `two` hold the vectors of two views, row by row, as in section 2. Write
# `share_found(one, two)`: the share of all $2n$ views whose most similar other view (by the cosine) is their partner.
#
# <details><summary>Hint</summary>
#
# A view is most similar to itself, which does not count: put something very small on the diagonal. Then `argmax`.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def share_found(one, two):
#     both = np.concatenate([one, two])
#     both = both / np.linalg.norm(both, axis=1, keepdims=True)
#     similar = both @ both.T
#     np.fill_diagonal(similar, -np.inf)
#     partner = np.roll(np.arange(len(both)), len(one))
#     return np.mean(similar.argmax(axis=1) == partner)
# ```
#
# </details>

# %%
from tlkit.exercises import check


def share_found(one, two): ...  # your code


check("14.1", share_found)

# %% [markdown]
# **2. Who pushes?** `similarities` is the matrix $s_{ik}$ of section 2, $2n \times 2n$ cosines; views $i$ and $i + n$ are
# partners. Write `pushes(similarities, temperature)`, which returns the gradient of $\ell_i$ with respect to the logits
# $s_{ik} / \tau$, a matrix with a row for each $i$. Nothing pushes on the diagonal.
#
# <details><summary>Hint</summary>
#
# Notebook 01: softmax minus 1 for the right class. In which column of row $i$ does the right one stand?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def pushes(similarities, temperature):
#     logits = np.array(similarities, float) / temperature
#     np.fill_diagonal(logits, -np.inf)
#     exps = np.exp(logits - logits.max(axis=1, keepdims=True))
#     gradient = exps / exps.sum(axis=1, keepdims=True)
#     rows = np.arange(len(logits))
#     gradient[rows, np.roll(rows, len(rows) // 2)] -= 1
#     return gradient
# ```
#
# </details>

# %%
from tlkit.exercises import check


def pushes(similarities, temperature): ...  # your code


check("14.2", pushes)

# %% [markdown]
# **3. Only what was hidden.** A network for hidden words gives `logits` of shape (texts, length, words). `ids` are the true
# words, (texts, length), and `asked` says where the network was asked, with `True`. Write `masked_loss(logits, ids, asked)`:
# the mean cross-entropy in nats over the places that were asked, and over no others.
#
# <details><summary>Hint</summary>
#
# `logits[asked]` has a row for each place that was asked, and `ids[asked]` the word that is right there.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def masked_loss(logits, ids, asked):
#     rows, right = logits[asked], ids[asked]
#     rows = rows - rows.max(axis=1, keepdims=True)
#     log_sum = np.log(np.exp(rows).sum(axis=1))
#     return np.mean(log_sum - rows[np.arange(len(rows)), right])
# ```
#
# </details>

# %%
from tlkit.exercises import check


def masked_loss(logits, ids, asked): ...  # your code


check("14.3", masked_loss)

# %% [markdown]
# **4. Views of your own** (without a check). In section 3 give `Views(rotation=90.0)` in place of `Views()`, and predict
# first: what happens to the probe on 6 and 9? Then pretrain on clothes (`tlkit.load_domain("fashion").train.x`) in place
# of glyphs. Which views suit clothes?
