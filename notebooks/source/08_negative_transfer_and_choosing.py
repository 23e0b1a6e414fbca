# %% [markdown]
# # 08 · Negative transfer, and choosing a backbone
#
# **Question: can you tell, before you train anything, which pretrained network will help on your images and which will
# hurt?**
#
# Reading time: about 45 minutes, 40 without the sections marked as optional; running it takes about a minute.
# You need: notebooks 02 (domains) and 03 (base and head). It runs offline.
#
# In notebook 00 you wrote `keras.models.load_model(tlkit.asset_path("efficientnet_lite0.keras"), compile=False)`: somebody
# had chosen that network for you. This notebook asks how to choose one, and section 8 does it in plain Keras.
#
# | word | meaning here |
# |---|---|
# | negative transfer | to be worse off with a pretrained backbone than without it |
# | candidate | a representation that you could put a head on: a backbone cut at some stage, or the raw pixels |
# | transferability score | a number computed from a candidate and your few labels, with no training of the candidate |

# %%
import time
from collections import Counter

import keras
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from scipy import optimize, special, stats

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

import tlkit
from tlkit import plots
from tlkit.features import batches
from tlkit.training import logistic_regression
from tlkit.transferability import h_score, leep, log_me, nce

one_thread = threadpool_limits(1)  # on matrices as small as ours, several threads mostly wait for each other

# %%
SEED = 0
PER_CLASS = 10  # labels of each class: 100 in all
DRAWS = 10  # of those labels
LIVE = 1  # of these, so many are scored here; the others come from a stored table
LONG = 0  # draws of the comparison of four ways that are made here: each takes half a minute
TEST = 1000  # of the 2,000 test images of mnist: enough here, and quick
STAGES = (2, 3, 4, 5)  # where a backbone may be cut
RESAMPLES = 300  # of the candidates, in section 6

# %% [markdown]
# ## 1. Clothes → digits: does it hurt?
#
# `resnet_fashion` is a ResNet pretrained on pictures of clothes. Freeze it, put a logistic regression on its features,
# and compare with the same logistic regression on raw pixels. Both learn from the same labelled images, so for each
# draw of them you can subtract one accuracy from the other. If the difference is below 0, the pretrained network did
# harm.
#
# **Predict before you run:** you own 20 labelled digits. Is the difference above or below 0 on `mnist`? And on
# `optdigits`, which raw pixels read better than `mnist`? Does the sign change with 200 labels?

# %%
from tlkit.widgets import Predict

with_20 = Predict("20 labels of mnist: what is the accuracy of clothes minus that of pixels?", between=(-0.3, 0.3))
with_20

# %%
BUDGETS = (1, 2, 5, 10, 20)  # labels per class
clothes = tlkit.load_backbone("resnet_fashion")
digits = {name: tlkit.load_domain(name) for name in ("mnist", "optdigits")}
tests = {name: domain.test[:TEST] for name, domain in digits.items()}


def gain_over_pixels(name):
    parts = digits[name].train, tests[name]
    features = tuple(tlkit.cache_features(clothes.model, part) for part in parts)
    curve = tlkit.few_shot_curve({"frozen": features, "pixels": parts}, per_class=BUDGETS, seeds=DRAWS)
    wide = curve.pivot_table(index="seed", columns=["method", "labels"], values="accuracy")
    return wide["frozen"] - wide["pixels"]  # a row per draw, a column per number of labels


# %%
gains = {name: gain_over_pixels(name) for name in digits}


def interval(differences):
    """Both ends of the 95 % interval over the draws."""
    mean, half = tlkit.mean_interval(differences)
    return mean - half, mean + half


def with_interval(draws):
    return pd.Series({name: "{:.3f} ± {:.3f}".format(*tlkit.mean_interval(values)) for name, values in draws.items()})


# %% tags=["nbval-ignore-output"]
pd.DataFrame({name: with_interval(gain) for name, gain in gains.items()}).rename_axis("labels")

# %% tags=["nbval-ignore-output"]
with_20.compare(gains["mnist"][20].mean())

# %%
ax = plt.subplots(figsize=(6, 3.2), layout="constrained")[1]
for (name, gain), color in zip(gains.items(), plots.PALETTE[1:], strict=False):
    mean, half = np.transpose([tlkit.mean_interval(gain[labels]) for labels in gain])
    ax.errorbar(gain.columns, mean, half, marker="o", capsize=3, color=color, label=name)
ax.axhline(0, color="0.5", linewidth=1)
ax.set(xscale="log", xlabel="labelled images", ylabel="accuracy: clothes − pixels")
ax.set_xticks(gain.columns, [str(labels) for labels in gain.columns])
ax.minorticks_off()
ax.legend(frameon=False)
sns.despine(ax=ax)
# %% [markdown]
# Both curves start below the grey line ("no difference") and rise with the number of labels, one to above the line and
# one to just below it. Bars are 95 % intervals over ten draws.

# %% tags=["summary-1"]
for gain in gains.values():
    for labels in (10, 20):
        low, high = interval(gain[labels])
        assert high < 0  # harm on both targets
low, high = interval(gains["mnist"][200])
assert low > 0.01  # with 200 labels help on mnist
assert gains["optdigits"][50].mean() < -0.01  # on optdigits harm up to 50 labels
assert abs(gains["optdigits"][200].mean()) < 0.015  # then no difference worth the name

# %% [markdown]
# With 10 or 20 labels the network **hurts**, on both targets. With 200 it helps on `mnist`, and on `optdigits` the
# mean difference is within about a percentage point of 0. So "clothes hurt digits" is true for a *target* and a
# *budget* (a number of labels), not in general.
#
# It also depends on what you call "without it". Wang et al. (2019, arXiv:1811.09751) compare the same algorithm with
# the source and without it. Without the source, the ResNet is trained *from scratch*.
#
# **Predict before you run:** with 20 labels of `mnist`, rank these four: raw pixels, frozen clothes features, the
# clothes ResNet fine-tuned as a whole, the same ResNet trained from scratch in the same way.

# %%
FOUR_WAYS = ["raw pixels", "clothes, frozen", "clothes, fine-tuned", "from scratch"]
first = Predict("Which of the four is best with 20 labels of mnist?", choices=FOUR_WAYS)
first

# %%
TINY = 2  # labels of each class
EPOCHS, RATE = 60, 3e-4  # chosen on training images of mnist
learner = tlkit.load_backbone("resnet_fashion")
tlkit.freeze_to(learner, stage=0, train_batchnorm=True)
new_head = tlkit.build_head(learner, n_classes=10)
network = tlkit.join(learner.model, new_head)
network.compile("adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
network.optimizer.build(network.trainable_variables)  # otherwise Keras traces the first step twice
network.count_params()

# %% [markdown]
# Keras builds the training step of this network once. Before each training the weights are set anew, pretrained or
# random ones, and the optimizer is reset. Two such trainings per draw take longer than you should wait. So all ten draws
# come from a stored table, which `tools/course_tables.py` made with these cells; `LONG = 1` at the top makes one here.


# %%
def trained_whole(few, seed, *, weights):
    start = tlkit.load_backbone("resnet_fashion", weights=weights, seed=seed)
    learner.model.set_weights(start.model.get_weights())
    new_head.set_weights(tlkit.build_head(start, n_classes=10, seed=seed).get_weights())
    for variable in network.optimizer.variables:  # Adam's running means and its count of steps
        variable.assign(keras.ops.zeros_like(variable))
    network.optimizer.learning_rate = RATE
    network.fit(batches(few, 32, shuffle_seed=seed), epochs=EPOCHS, shuffle=False, verbose=0)
    return tlkit.accuracy(network, tests["mnist"])


# %%
def four_ways(seed):
    few = digits["mnist"].train.take(TINY, seed=seed)
    frozen = [tlkit.cache_features(clothes.model, part) for part in (few, tests["mnist"])]
    return {
        "raw pixels": tlkit.linear_probe(few, tests["mnist"]),
        "clothes, frozen": tlkit.linear_probe(*frozen),
        "clothes, fine-tuned": trained_whole(few, seed, weights="pretrained"),
        "from scratch": trained_whole(few, seed, weights=None),
    }


# %% tags=["nbval-ignore-output"]
here = pd.DataFrame([{"draw": draw, **four_ways(draw)} for draw in range(LONG)])
others = tlkit.stored_table("clothes_for_20_digits", draws=range(LONG, DRAWS))
ways = pd.concat([here, others]).set_index("draw")
over_scratch = ways.sub(ways["from scratch"], axis=0)
pd.DataFrame({"accuracy": with_interval(ways), "minus from scratch": with_interval(over_scratch)})

# %%
first.compare(ways.mean().idxmax())

# %% tags=["summary-1"]
for way in ("clothes, frozen", "clothes, fine-tuned"):
    low, high = interval(over_scratch[way])
    assert low > 0.05
low, high = interval(ways["clothes, frozen"] - ways["raw pixels"])
assert high < 0

# %% [markdown]
# Compared with the ResNet from scratch, clothes **help** a lot, frozen or fine-tuned: 20 labels are few for a network
# of more than a million weights. Compared with raw pixels the same frozen features hurt, in the same ten draws. Both
# sentences are true. A report of negative transfer, or of its absence, means nothing until it names its baseline. The
# plainest baseline, raw pixels, costs only seconds.

# %% [markdown]
# ## 2. Twelve candidates, four targets
#
# So far there was one network. You may also **cut** a backbone at an earlier stage and put the head there. With two
# pretrained networks at four stages each, three ResNets with random weights and the raw pixels you have twelve
# candidates.
#
# Two of the four targets, clothes and printed digits, are what a network was pretrained on. Their training images
# would flatter it, because it has seen their labels. So both the labels and the test images come from the held-out
# part there. A font family goes to one side as a whole: its faces are near copies of each other. Some fonts even
# share a glyph, so of equal images only one stays.

# %%
printed, fashion = tlkit.load_domain("printed"), tlkit.load_domain("fashion")
prints = printed.restrict_to(digits["mnist"].classes).test
once = np.unique(prints.x.reshape(len(prints), -1), axis=0, return_index=True)[1]
prints = prints[np.sort(once)]
even = np.unique(prints.groups, return_inverse=True)[1] % 2 == 0  # every second font family
targets = {name: (domain.train.take(50, seed=SEED), tests[name]) for name, domain in digits.items()}
targets["clothes"] = fashion.test[::2], fashion.test[1::2]
targets["printed digits"] = prints[even], prints[~even]
pd.DataFrame({name: map(len, parts) for name, parts in targets.items()}, index=["to draw labels from", "to test on"])

# %%
networks = {"print": tlkit.load_backbone("resnet_printed"), "clothes": clothes}
for seed, name in enumerate(("random a", "random b", "random c") if LIVE == DRAWS else ("random a",)):
    networks[name] = tlkit.load_backbone("resnet_printed", weights=None, seed=seed)
list(networks)

# %% [markdown]
# The two other random networks take as long as this one and show the same. So their numbers come from a stored table.
#
# One pass through a network, over the images of all targets, gives the averaged features of all its stages side by side.


# %%
def stage_features(backbone, *splits):
    """For each split its features, by stage."""
    pooled = [keras.layers.GlobalAveragePooling2D()(backbone.boundary(stage)) for stage in STAGES]
    side_by_side = keras.Model(backbone.model.input, keras.layers.Concatenate()(pooled))
    images = np.concatenate([split.x for split in splits])
    labels = np.concatenate([split.y for split in splits])
    every = tlkit.cache_features(side_by_side, tlkit.Split(images, labels))
    between = np.cumsum([len(split) for split in splits])[:-1]
    ends = np.cumsum([part.shape[-1] for part in pooled])[:-1]
    for split, rows in zip(splits, np.split(every.x, between), strict=True):
        by_stage = zip(STAGES, np.split(rows, ends, axis=1), strict=True)
        yield {stage: tlkit.Split(x, split.y) for stage, x in by_stage}


# %%
every_part = [part for parts in targets.values() for part in parts]
features = {name: list(stage_features(backbone, *every_part)) for name, backbone in networks.items()}


def candidates(place, target):
    found = {"raw pixels": targets[target]}
    for name, parts in features.items():
        in_pool, in_test = parts[2 * place : 2 * place + 2]
        for stage in STAGES if name in ("print", "clothes") else STAGES[-1:]:
            found[f"{name} {stage}"] = in_pool[stage], in_test[stage]
    return found


# %%
represented = {target: candidates(place, target) for place, target in enumerate(targets)}
{name: tlkit.pool_features(pool).shape[1] for name, (pool, _) in represented["mnist"].items()}

# %% [markdown]
# The dictionary shows how many features each candidate has; the number in its name is the stage. (`random b 5` and
# `random c 5` have as many as `random a 5`.)
#
# What we want to foresee is the **test accuracy of a linear probe on 100 labels**, the mean over ten draws of them. One draw
# is made here, of ten candidates. The other nine, and all of random b and c, come from a stored table, which this
# notebook's own cells made with `LIVE = 10`.
#
# **Predict before you run:** the network pretrained on print is cut at stage 2, 3, 4 or 5. Which is best for digits?
# Which is best for clothes? Is there a target on which *print* hurts?

# %%
CUTS = [f"print {stage}" for stage in STAGES]
for_clothes = Predict("Which cut of the print network is best for clothes?", choices=CUTS)
for_clothes

# %% tags=["nbval-ignore-output"]
AT = ["target", "candidate", "draw"]
curves = [
    tlkit.few_shot_curve(found, per_class=(PER_CLASS,), seeds=LIVE).assign(target=target)
    for target, found in represented.items()
]
scored_here = pd.concat(curves).rename(columns={"method": "candidate", "seed": "draw"}).set_index(AT)[["accuracy"]]
stored = tlkit.stored_table("candidate_scores", draws=range(DRAWS)).set_index(AT)
scored_before = stored.drop(scored_here.index)
truth = pd.concat([scored_here, scored_before])["accuracy"].reindex(stored.index)
accuracy = truth.to_frame().pivot_table(index="candidate", columns="target", values="accuracy", sort=False)
accuracy.round(3)

# %%
for_clothes.compare(accuracy.loc[CUTS, "clothes"].idxmax())

# %% tags=["plumbing", "summary-1"]
assert (accuracy.drop(columns="clothes").idxmax() == "print 5").all()
assert accuracy["clothes"].idxmax() == "clothes 5"
assert (accuracy.loc[[f"clothes {stage}" for stage in STAGES]].idxmax() == "clothes 5").all()
assert (accuracy.loc["print 5"] - accuracy.loc["clothes 5"]).abs().min() > 0.05
assert accuracy.loc["print 4", "clothes"] > accuracy.loc["print 5", "clothes"] + 0.01


# %% tags=["plumbing"]
def minus_pixels(target):
    wide = truth[target].reset_index().pivot_table(index="draw", columns="candidate", values="accuracy")
    return wide.sub(wide["raw pixels"], axis=0)[CUTS]


# %% tags=["nbval-ignore-output"]
over_pixels = {target: minus_pixels(target) for target in ("mnist", "clothes")}
pd.DataFrame({target: with_interval(values) for target, values in over_pixels.items()}).rename_axis("minus raw pixels")

# %% tags=["summary-1"]
low, high = interval(over_pixels["mnist"]["print 5"])
assert low > 0.05
low, high = interval(over_pixels["clothes"]["print 2"])
assert high < -0.02  # cut early, print hurts clothes
low, high = interval(over_pixels["clothes"]["print 5"])
assert low < 0 < high  # whole, it is not told apart from pixels

# %% [markdown]
# - On each target one network wins by far: the related one, cut at its last stage.
# - The same print network helps on `mnist`, and on clothes it does not: cut at stage 2 it **hurts**, and cut at stage 5 ten
#   draws cannot tell it from raw pixels. Negative transfer belongs to a **pair** and a cut, not to a network.
# - On clothes an earlier stage of the print network is a better cut than its last one, which may have become special
#   to print (Yosinski et al., 2014, arXiv:1411.1792, found the like between halves of ImageNet). That is no rule: in
#   this table the last stage of the clothes network is its best cut on every target, digits included.
#
# How often does a frozen candidate lose against raw pixels here?

# %% tags=["nbval-ignore-output"]
loses = accuracy.drop(index="raw pixels") < accuracy.loc["raw pixels"]
print(f"{loses.to_numpy().sum()} of {loses.size} pairs of a candidate and a target lie below raw pixels")

# %%
assert loses.to_numpy().mean() > 0.5

# %% [markdown]
# It loses more often than not. You have to choose, and nobody wants to train all twelve.

# %% [markdown]
# ## 3. First idea: take the nearest source
#
# Notebook 02 trained a classifier to tell two domains apart. Its error $\varepsilon$ gives the *proxy A-distance*
# (Ben-David et al., 2007) $d_A = 2\,(1 - 2\varepsilon)$: 0 when it can only guess, 2 when it never errs. A second
# distance needs no classifier. The *maximum mean discrepancy* (Gretton et al., 2012) compares how alike two images are,
# on average, within a domain and across:
#
# $$\mathrm{MMD}^2 = \overline{k(s, s')} + \overline{k(t, t')} - 2\,\overline{k(s, t)} \qquad
# k(a, b) = \exp\left(-\lVert a - b\rVert^2 / m\right)$$
#
# Here $s$ and $t$ are images of source and target, the bar is a mean over pairs, and $m$ is the median squared
# distance. Neither looks at a label. Both are computed on raw pixels.


# %%
def a_distance(source, target):
    both = tlkit.Split(np.concatenate([source.x, target.x]), np.repeat([0, 1], [len(source), len(target)]))
    order = np.random.default_rng(SEED).permutation(len(both))
    error = 1 - tlkit.linear_probe(*(both[part] for part in np.split(order, 2)))
    return 2 * (1 - 2 * error)


# %%
def mmd(source, target):
    n, images = len(source), np.concatenate([tlkit.pool_features(split) for split in (source, target)])
    squared = euclidean_distances(images, squared=True)
    k = np.exp(-squared / np.median(squared))
    return np.sqrt(k[:n, :n].mean() + k[n:, n:].mean() - 2 * k[:n, n:].mean())


# %% [markdown]
# **Predict before you run:** as a domain, is print nearer to clothes or to `optdigits`?


# %%
def distances(source, pool):
    for seed in range(DRAWS):
        draw = np.random.default_rng(seed).permutation
        parts = [split[draw(len(split))[:300]] for split in (source.train, pool)]
        yield {"A-distance": a_distance(*parts), "MMD": mmd(*parts)}


# %% tags=["nbval-ignore-output"]
sources = {"print": printed, "clothes": fashion}
pairs = [(target, name) for target in targets for name in sources]
by_draw = {(t, name): pd.DataFrame(distances(sources[name], targets[t][0])) for t, name in pairs}
far = pd.DataFrame([by_draw[pair].mean() for pair in pairs])
far.index = pd.MultiIndex.from_tuples(pairs, names=["target", "source"])
far["gain over pixels"] = [accuracy.loc[f"{name} 5", t] - accuracy.loc["raw pixels", t] for t, name in pairs]
far.round(3)

# %% tags=["plumbing", "summary-2"]
nearest = far.groupby("target")[["A-distance", "MMD"]].idxmin()
best = far.groupby("target")["gain over pixels"].idxmax()
assert (nearest["A-distance"] == best).all()
assert (nearest["MMD"] == best).all()
assert far["A-distance"].drop(list(best)).min() > 1.85  # the ceiling is 2
for (target, name), other in zip(best, [(t, "clothes" if s == "print" else "print") for t, s in best], strict=True):
    apart = by_draw[other] - by_draw[target, name]
    assert min(interval(apart["A-distance"])[0], interval(apart["MMD"])[0]) > 0  # the nearer one, over ten draws
assert interval(by_draw["optdigits", "print"]["MMD"] - by_draw["clothes", "print"]["MMD"])[0] > 0
assert far["gain over pixels"]["clothes", "print"] < 0 < far["gain over pixels"]["optdigits", "print"] - 0.03
assert accuracy.loc["print 5", "mnist"] > accuracy.loc["print 2", "mnist"] + 0.2  # one source, one distance

# %% [markdown]
# - **Of two sources, the nearer one is better** on every target here, by either distance.
# - **Its size says little.** The four unrelated pairs sit near the ceiling of the A-distance, 2. By MMD print is
#   nearer to clothes than to `optdigits`, yet on clothes it does not help, and on `optdigits` it does.
# - **It cannot choose a cut.** All stages of a network share one source and so one distance, and random weights have
#   no source at all. The distance looks neither at the network nor at a label.
#
# So look at the features, with the labels you have.

# %% [markdown]
# ## 4. Four scores
#
# All four take the 100 labels and one pass through the frozen network. Two read what the *source head* says, two read
# the features.
#
# ### NCE and LEEP: what the source head says
#
# The head of `resnet_fashion` names a piece of clothing for each digit. This is nonsense, but perhaps *useful*
# nonsense: if all ones were trousers and nothing else were, trousers would give away the one.

# %%
few = {target: pool.take(PER_CLASS, seed=SEED) for target, (pool, _) in targets.items()}
heads = {"print": printed.classes, "clothes": fashion.classes}
heads = {name: tlkit.load_source_head(networks[name], classes) for name, classes in heads.items()}


def source_says(name, target):
    features = tlkit.cache_features(networks[name].model, few[target])
    return special.softmax(heads[name].predict(features.x, verbose=0), axis=1)  # (100, source classes)


# %%
says = source_says("clothes", "mnist")
share = pd.DataFrame(says, columns=fashion.classes).groupby(few["mnist"].y).mean()
ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")[1]
ax = sns.heatmap(share, vmin=0, vmax=1, cmap="Blues", ax=ax, cbar_kws={"label": "mean probability"})
ax.set(xlabel="what the clothes head sees", ylabel="digit")
ax.tick_params(axis="y", rotation=0)
# %% [markdown]
# There is one row per digit and one column per piece of clothing; dark means that the head is sure of it. One column is
# dark nearly from top to bottom: to this head almost every digit is a sandal. That cannot tell digits apart. In
# numbers:

# %%
assert (share.idxmax(axis=1) == "Sandal").sum() >= 8

# %% [markdown]
# Let $y_i$ be the label of image $i$ of $n$ and $z_i$ the source class that the head names. The *negative conditional
# entropy* (Tran et al., 2019, arXiv:1908.08142) asks how well $z$ tells $y$, by counting:
#
# $$\mathrm{NCE} = \sum_{z, y} P(z, y)\,\log P(y \mid z)$$
#
# LEEP (Nguyen et al., 2020, arXiv:2002.12462) does not round the head's answer. With $\theta_z(x_i)$ for the
# probability of source class $z$ for image $x_i$, it counts softly, $P(z, y) = \frac1n \sum_{i:\, y_i = y}
# \theta_z(x_i)$, and takes the mean log likelihood
#
# $$\mathrm{LEEP} = \frac1n \sum_i \log \sum_z \theta_z(x_i)\,P(y_i \mid z).$$
#
# Both lie between minus the entropy of the labels (the head says nothing; $-\log 10$ nats for ten classes of equal
# size) and 0 (it says all). Written out once, and compared with `tlkit.transferability`:

# %% tags=["nbval-ignore-output"]
y, named = few["mnist"].y, says.argmax(axis=1)
both, alone = Counter(zip(named, y, strict=True)), Counter(named)
nce_by_hand = sum(count / len(y) * np.log(count / alone[z]) for (z, _), count in both.items())

joint = np.array([says[y == label].sum(axis=0) for label in range(10)]) / len(y)  # (digits, clothes)
given = joint / joint.sum(axis=0)
leep_by_hand = np.mean(np.log((says * given[y]).sum(axis=1)))
print(f"NCE {nce_by_hand:.3f}   LEEP {leep_by_hand:.3f}   least possible {-np.log(10):.3f}")

# %% tags=["summary-2"]
assert np.isclose(nce_by_hand, nce(named, y))
assert np.isclose(leep_by_hand, leep(says, y), atol=1e-6)

# %% [markdown]
# **Predict before you run:** which head gets the higher LEEP on each of the four targets?

# %% tags=["nbval-ignore-output"]
answers = {(target, name): source_says(name, target) for target in targets for name in heads}
by_head = pd.DataFrame(
    {
        key: {"LEEP": leep(theta, few[key[0]].y), "NCE": nce(theta.argmax(axis=1), few[key[0]].y)}
        for key, theta in answers.items()
    }
).T.rename_axis(["target", "head"])
by_head["true accuracy"] = [accuracy.loc[f"{name} 5", target] for target, name in by_head.index]
by_head.round(3)

# %%
picked = by_head.groupby("target").idxmax()
assert (picked["LEEP"] == picked["true accuracy"]).all()
assert (picked["NCE"] == picked["true accuracy"]).all()

# %% [markdown]
# Both are right four times out of four, and no classifier was trained. A coin does that once in sixteen, so this is a
# good sign and no proof. Also note the price: these scores need a source head, and features from the middle of a
# network have none.
#
# ### H-score: how far apart the classes are
#
# With $\Sigma$ for the covariance of the features and $\Sigma_{\text{between}}$ for the covariance of the class means,
# the H-score (Bao et al., 2019) is $\mathrm{tr}(\Sigma^{-1}\,\Sigma_{\text{between}})$: 0 if all classes have the same
# mean, and one less than the number of classes at best.
#
# **Predict before you run:** 100 images, 256 features of *pure noise*, ten classes. What is the H-score?

# %%
of_noise = Predict("What is the H-score of pure noise?", between=(0, 10))
of_noise

# %% tags=["nbval-ignore-output"]
noise = np.random.default_rng(SEED).normal(size=(100, 256))
print_5 = tlkit.pool_features(represented["mnist"]["print 5"][0].take(PER_CLASS, seed=SEED))
h_scores = {
    "plain": {"noise": h_score(noise, y), "print 5": h_score(print_5, y)},
    "shrunk": {"noise": h_score(noise, y, shrinkage=True), "print 5": h_score(print_5, y, shrinkage=True)},
}
pd.DataFrame(h_scores).round(3)

# %%
of_noise.compare(h_scores["plain"]["noise"])

# %% tags=["summary-2"]
assert np.allclose(list(h_scores["plain"].values()), 9)
assert h_scores["shrunk"]["print 5"] > h_scores["shrunk"]["noise"] + 1

# %% [markdown]
# Noise gets the full mark. With more features than images some combination of them separates any labels, and $\Sigma$
# has no inverse. Ibrahim et al. (2021, arXiv:2110.06893) therefore *shrink* $\Sigma$ towards a multiple of the
# identity. That pulls the two apart.
#
# ### LogME: how probable the labels are (optional)
#
# LogME (You et al., 2021, arXiv:2102.11005) imagines how the labels came about. For one class, let $t$ be the vector of
# $n$ zeros and ones that marks its images and $F$ the $n \times d$ matrix of features. Draw weights $w$ from a Gaussian
# of variance $1/\alpha$, and set $t = F w$ plus noise of variance $1/\beta$. Without choosing $w$, $t$ is Gaussian:
#
# $$t \sim \mathcal N\left(0,\ \tfrac1\beta I + \tfrac1\alpha F F^\top\right)$$
#
# The score is the log density of the real $t$, for the best $\alpha$ and $\beta$, divided by $n$, and averaged over the
# classes. Many useless features do not raise it much: they make *every* $t$ possible, so the real one is not favoured.


# %%
def least_surprise(t, features):
    def surprise(logs):
        beta_part, alpha_part = np.eye(len(t)) / np.exp(logs[0]), features @ features.T / np.exp(logs[1])
        return -stats.multivariate_normal(cov=beta_part + alpha_part).logpdf(t) / len(t)

    return optimize.minimize(surprise, [0.0, 0.0], method="Nelder-Mead").fun


# %% tags=["nbval-ignore-output"]
clothes_2 = tlkit.pool_features(represented["mnist"]["clothes 2"][0].take(PER_CLASS, seed=SEED)).astype(float)
by_hand = -np.mean([least_surprise((y == label).astype(float), clothes_2) for label in range(10)])
print(f"by hand {by_hand:.4f}   tlkit {log_me(clothes_2, y):.4f} nats per example")

# %%
assert abs(by_hand - log_me(clothes_2, y)) < 1e-3
least = -(np.log(2 * np.pi * 0.1) + 1) / 2  # without any feature: the best variance is the share of the class
assert least <= log_me(noise, y) < least + 0.05  # no full mark for noise
assert log_me(print_5, y) > least + 0.5

# %% [markdown]
# Noise gets next to nothing. But LogME has a weak spot of its own. Where features outnumber images, an image that is
# there twice lets the evidence grow without end as $1/\beta$ goes to 0. So `log_me` refuses, and section 2 removed
# equal images.

# %%
twice = np.append(np.arange(len(y)), 0)
try:
    log_me(print_5[twice], y[twice])
except ValueError as error:
    print(error)

# %% [markdown]
# ## 5. Do they rank the twelve?
#
# A score for each candidate, on each target, for each of the ten draws of 100 labels. Three rivals join in, without
# which a good result means nothing: **the number of features** (a network's last stage has most), a **random order**
# (section 6 says how far luck gets), and the obvious thing to do: **cross-validate a linear probe** on the same 100
# labels.


# %%
def cross_validation(few):
    folds = StratifiedKFold(3).split(few.x, few.y)
    return np.mean([tlkit.linear_probe(few[learn], few[check]) for learn, check in folds])


def on(score, **options):
    return lambda few: score(tlkit.pool_features(few), few.y, **options)


SCORES = {"LogME": on(log_me), "H-score": on(h_score), "H-score, shrunk": on(h_score, shrinkage=True)}
SCORES |= {"cross-validation": cross_validation, "number of features": lambda few: tlkit.pool_features(few).shape[1]}

# %%
draws = {
    (target, candidate, seed): pool.take(PER_CLASS, seed=seed)
    for target, found in represented.items()
    for candidate, (pool, _) in found.items()
    for seed in range(DRAWS)
}

# %%
seconds = {}
for name, score in SCORES.items():
    start = time.perf_counter()
    found = {key: score(draws[key]) for key in scored_here.index}
    seconds[name] = (time.perf_counter() - start) / len(found)
    scored_here[name] = pd.Series(found).round(6)  # rounding errors are no ranking
table = pd.concat([scored_here, scored_before]).reindex(stored.index)

# %%
means = table.groupby(["target", "candidate"], sort=False).mean()
color_of = dict(zip(("print", "clothes", "random", "raw"), plots.PALETTE, strict=False))
axes = plt.subplots(1, 4, figsize=(10, 3.2), sharey=True, layout="constrained")[1]
for ax, (target, rows) in zip(axes, means.groupby("target", sort=False), strict=True):
    ax.plot(rows["LogME"], rows["accuracy"], ".", color="0.8")
    for (_, candidate), row in rows.iterrows():  # "print 5" is written as a blue 5, "random a 5" as a yellow a
        network, sign, *_ = candidate.split()
        look = {"color": color_of[network], "weight": "bold", "ha": "center", "va": "center"}
        ax.text(row["LogME"], row["accuracy"], "px" if sign == "pixels" else sign, **look)
    ax.set(title=target, xlabel="LogME (nats)")
axes[0].set_ylabel("test accuracy")
sns.despine()
# %% [markdown]
# There is one panel per target. Each sign is a candidate, with its LogME across and its true accuracy upward. Blue
# numbers are the stages of the network pretrained on print, orange ones those of clothes; a, b and c are the random
# networks, nearly on top of each other, and px stands for raw pixels. A perfect ranking rises from left to right.
#
# How well does it rise? *Kendall's $\tau$* takes all pairs of candidates: the share that the score puts in the right
# order minus the share in the wrong order. 1 is a perfect ranking, 0 what a random order gives on average. The
# **weighted** $\tau$ (Vigna, 2015, arXiv:1404.3325) counts a pair more the nearer it is to the top, because it is the
# top that you are going to take.
#
# **Predict before you run:** which score ranks best? Does any beat cross-validation?


# %%
def tau(rows, score):
    return stats.weightedtau(rows["accuracy"], rows[score]).statistic


# %% tags=["plumbing"]
def per_target(measure, table, names):
    found = pd.DataFrame(
        {
            name: {key: measure(rows, name) for key, rows in table.groupby(["target", "draw"], sort=False)}
            for name in names
        }
    ).rename_axis(["target", "draw"])
    shown = found.groupby("target", sort=False).mean().T.round(3)
    shown["all four"] = with_interval(found.groupby("draw").mean())
    return found.mean(), shown


# %% tags=["nbval-ignore-output"]
average, shown = per_target(tau, table, SCORES)
shown

# %% tags=["plumbing", "summary-2"]
others = ["H-score", "H-score, shrunk", "number of features"]
assert average["LogME"] > 0.75
assert average["LogME"] > average[others].max() + 0.2
assert abs(average["LogME"] - average["cross-validation"]) < 0.1
width = means.groupby("target").corr(method="spearman")["number of features"].swaplevel()
full_mark = np.isclose(means["H-score"], 9).reshape(len(targets), -1).sum(axis=1)
assert (full_mark == 8).all()
assert width["H-score, shrunk"].min() > 0.7  # it follows the number of features ...
assert width["LogME"].mean() < 0.6  # ... far more than LogME does

# %% [markdown]
# - **LogME ranks well on all four targets, and so does cross-validation.** They cannot be told apart here.
# - **The H-score does not.** Plain, it gives eight candidates the same full mark, those with more features than images.
#   Shrunk, it still prefers whatever is wide. (In the experiments of Ibrahim et al. shrinking helped a lot. The
#   candidates here differ more than twentyfold in width, and 100 images are few.)
#
# The interval in the last column is over the draws of labels only. Section 6 asks about the rest.
#
# A ranking is a means. What do you **lose** if you take the candidate that a score puts on top, in accuracy, against
# the best of the twelve? Two more rivals: a candidate at random, and always the same favourite.


# %%
def lost(rows, score):
    top = rows[score] == rows[score].max()  # may be several: then take one of them blindly
    return rows["accuracy"].max() - rows.loc[top, "accuracy"].mean()


rivals = {"always print 5": table.index.get_level_values("candidate") == "print 5", "a random candidate": 1}

# %% tags=["nbval-ignore-output"]
loss, shown = per_target(lost, table.assign(**rivals), [*SCORES, *rivals])
shown

# %% tags=["summary-3"]
assert loss[["LogME", "cross-validation"]].max() < 0.01
assert loss["a random candidate"] > 0.1
assert loss["H-score"] > loss["a random candidate"] - 0.05
assert loss[["H-score, shrunk", "always print 5"]].between(0.02, 0.08).all()  # wrong on one target of four

# %% [markdown]
# Follow LogME or cross-validation and you lose nothing that counts. The plain H-score is hardly better than a blind
# choice. And look at *always print 5*: no score at all, and perfect on three targets of four. Where one favourite wins
# nearly everywhere, a score looks good by agreeing with it (Singh et al., 2025, arXiv:2510.06448). The target that
# matters is the one where the favourite fails. Here that is clothes.
#
# What a score costs, in milliseconds per candidate, once the features are there:

# %% tags=["nbval-ignore-output"]
(pd.Series(seconds) * 1000).round(1).rename("milliseconds").to_frame()

# %% [markdown]
# Compare LogME with cross-validation, which trains three probes per candidate. The difference matters with thousands of
# candidates or classes. With twelve, cross-validation is affordable, and its answer is an accuracy that you can read.
#
# ### LEEP and NCE, for candidates with a head
#
# A cut network has no source head. Make one: a logistic regression on the features of some *source* images. That gives
# eight candidates with a head, four cuts of two networks.

# %%
images = {"print": printed.train.take(10, seed=SEED), "clothes": fashion.train.take(60, seed=SEED)}
cut_heads = {
    f"{name} {stage}": logistic_regression(found)
    for name, split in images.items()
    for stage, found in next(stage_features(networks[name], split)).items()
}
cuts = table[table.index.get_level_values("candidate").isin(cut_heads)].copy()

# %%
for key in cuts.index:
    kernel, bias = cut_heads[key[1]]
    theta = special.softmax(draws[key].x @ kernel + bias, axis=1)
    cuts.loc[key, ["LEEP", "NCE"]] = leep(theta, draws[key].y), nce(theta.argmax(axis=1), draws[key].y)

# %% tags=["nbval-ignore-output"]
of_cuts, shown = per_target(tau, cuts, ["LEEP", "NCE", "LogME", "cross-validation", "number of features"])
shown

# %% tags=["summary-3"]
assert of_cuts[["LEEP", "NCE"]].min() > 0.6
assert of_cuts["LogME"] > of_cuts[["LEEP", "NCE"]].max() + 0.03
assert of_cuts["number of features"] > average["number of features"] + 0.2

# %% [markdown]
# LEEP and NCE rank the eight cuts well, if a little less well than LogME. But see the last row. Among cuts of two
# networks "the deeper, the better" gets most of the way without looking at a single image. **A $\tau$ means nothing
# without the $\tau$ of a stupid rule beside it.**

# %% [markdown]
# ## 6. How sure can you be with twelve candidates? (optional)
#
# Here are two questions and two simulations, both with the scores averaged over the ten draws:
#
# - **Could a random order do as well?** Shuffle the twelve, use the same order on all four targets, and see how far
#   $\tau$ gets by luck.
# - **What if others had been on the list?** Draw twelve candidates *with replacement* from the twelve (a bootstrap),
#   and compute each $\tau$ again.


# %%
by_target = [rows for _, rows in means.groupby("target", sort=False)]
rng = np.random.default_rng(SEED)


def mean_tau(name, chosen):
    return np.mean([tau(rows.take(chosen), name) for rows in by_target])


def tau_of_order(order):
    return np.mean([stats.weightedtau(rows["accuracy"], order).statistic for rows in by_target])


# %%
whole = pd.Series({name: mean_tau(name, np.arange(12)) for name in SCORES})
samples = [rng.integers(12, size=12) for _ in range(RESAMPLES)]
resampled = pd.DataFrame({name: [mean_tau(name, chosen) for chosen in samples] for name in SCORES})
low, high = resampled.quantile(0.025), resampled.quantile(0.975)
chance = np.quantile([tau_of_order(rng.permutation(12)) for _ in range(RESAMPLES)], [0.025, 0.975])

# %%
ax = plt.subplots(figsize=(6.5, 2.8), layout="constrained")[1]
ax.axvspan(*chance, color="0.88", label="95 % of random orders")
ax.errorbar(whole, list(SCORES), xerr=[whole - low, high - whole], fmt="o", capsize=3, color=plots.SOURCE_COLOR)
ax.margins(y=0.15)
ax.invert_yaxis()
ax.set(xlabel="weighted τ, mean of four targets", xlim=(-1, 1))
ax.legend(frameon=False, loc="upper left")
sns.despine(ax=ax)
# %% [markdown]
# Each point is one score, with its 95 % bootstrap interval. The grey band holds 95 % of the random orders.

# %% tags=["nbval-ignore-output"]
difference = resampled.sub(resampled["LogME"], axis=0).drop(columns="LogME").quantile([0.025, 0.975]).T
difference.columns = ["from", "to"]
difference.rename_axis("difference to LogME").round(2)

# %% tags=["summary-2", "summary-3"]
assert low[["LogME", "cross-validation"]].min() > chance[1] + 0.1  # no luck
assert low[others].max() < chance[1]  # could be luck
assert difference.loc["cross-validation", "from"] < 0 < difference.loc["cross-validation", "to"]
assert difference.loc[others, "to"].max() < -0.05

# %% [markdown]
# - LogME and cross-validation are beyond luck. Which of the two is better, twelve candidates cannot say.
# - The three others may be luck: their intervals reach into the band.
# - Even these intervals are too narrow. The twelve are no random sample: cuts of one network resemble each other, and
#   three of the four targets are digits. Agostinelli et al. (2022, arXiv:2204.01403) varied such experiments in
#   hundreds of thousands of ways, and small changes decided which score won.
# - The truth here is a linear probe on frozen features. After fine-tuning, the order may be another.

# %% [markdown]
# ## 7. Would it have warned you?
#
# Now back to negative transfer. Raw pixels are one of the twelve, so a score says of each other candidate whether it
# lies above or below them. How often is that right, over eleven candidates and four targets? The stupid rule to beat:
# "everything hurts".


# %%
def above_pixels(name):
    values = means.pivot_table(index="candidate", columns="target", values=name, sort=False)
    return values.drop(index="raw pixels") - values.loc["raw pixels"]


true_gain = above_pixels("accuracy")
right = {name: np.sign(above_pixels(name)) == np.sign(true_gain) for name in SCORES}
right["everything hurts"] = true_gain < 0

# %% tags=["nbval-ignore-output"]
warned = pd.Series({name: is_right.to_numpy().mean() for name, is_right in right.items()}, name="right side of pixels")
warned.round(3).to_frame()

# %% tags=["nbval-ignore-output"]
missed = true_gain[~right["LogME"]].melt(ignore_index=False, value_name="accuracy − pixels").dropna()
missed.round(3)

# %%
good = ["LogME", "cross-validation"]
assert warned[good].min() > warned["everything hurts"] + 0.1
assert warned[["H-score", "H-score, shrunk"]].max() < warned[good].min() - 0.1
assert missed["accuracy − pixels"].abs().max() < 0.06
assert above_pixels("LogME").loc["clothes 5", "optdigits"] > 0 > true_gain.loc["clothes 5", "optdigits"]

# %% [markdown]
# LogME and cross-validation are right about nine times out of ten. Where LogME is wrong (the second table) the
# difference is small: it would have warned of large harm, but not of a gap as small as that of clothes on
# `optdigits`.

# %% [markdown]
# ## 8. The same in plain Keras
#
# You have two pretrained networks and 100 labels. A network is a Keras model, `predict` gives its features, and
# scikit-learn fits the probe. Cross-validate the probe on the labels that you have, and take the better network.


# %%
def features_of(model, images):  # (n, h, w, 1) -> (n, channels)
    return model.predict(images, verbose=0).mean(axis=(1, 2))


def probe(x, y, x_test):
    centre = x.mean(axis=0)
    scale = np.sqrt(np.mean((x - centre) ** 2))  # one number: then the penalty means the same for each network
    learned = LogisticRegression(max_iter=2000).fit((x - centre) / scale, y)
    return learned.predict((x_test - centre) / scale)


# %%
def cross_validated(x, y):
    folds = StratifiedKFold(3).split(x, y)
    return np.mean([np.mean(probe(x[learn], y[learn], x[check]) == y[check]) for learn, check in folds])


def choose(images, y):
    """The better of two networks, and the cross-validated accuracy of each."""
    found = {name: cross_validated(features_of(networks[name].model, images), y) for name in ("print", "clothes")}
    return max(found, key=found.get), found


# %%
by_hand = {target: choose(few[target].x, few[target].y) for target in ("mnist", "clothes")}
for target, (_, found) in by_hand.items():
    for name, mean in found.items():
        by_tlkit = table.loc[(target, f"{name} 5", SEED), "cross-validation"]
        assert abs(mean - by_tlkit) < 0.015  # at most one label of 100
{target: best for target, (best, _) in by_hand.items()}

# %% [markdown]
# On both targets the cross-validated accuracies agree with those of section 5. Only now look at the test images, with
# the network that was chosen:

# %% tags=["nbval-ignore-output"]
for target, (best, _) in by_hand.items():
    model, labels, test = networks[best].model, few[target], targets[target][1]
    answers = probe(features_of(model, labels.x), labels.y, features_of(model, test.x))
    score = np.mean(answers == test.y)
    assert best == {"mnist": "print", "clothes": "clothes"}[target]
    assert abs(score - truth[target, f"{best} 5", SEED]) < 0.003  # at most two test images of a thousand
    print(f"{target}: take the network pretrained on {best}; accuracy on test images {score:.3f}")

# %% [markdown]
# ## What to do
#
# ```mermaid
# flowchart TD
#   A[A few labels of your target] --> B[Raw pixels + logistic regression:<br/>the baseline, in seconds]
#   A --> C[Each candidate and a few of its cuts:<br/>one pass, features cached]
#   C --> D{How many<br/>candidates?}
#   D -- dozens --> E[Cross-validate a linear probe]
#   D -- thousands --> F[LogME first,<br/>then cross-validate the best]
#   E --> G[Take the best two or three]
#   F --> G
#   B --> G
#   G --> H[Fine-tune them;<br/>train one from scratch beside them]
#   H --> I[Test images: once, at the very end]
# ```
#
# In words: run the baseline first. Cache the features of every candidate, earlier stages too. Rank by cross-validation,
# or by LogME when there are too many, on labels that no candidate was pretrained on. Keep a candidate only if it beats
# raw pixels; keep two or three, because a small gap between scores says little. Fine-tune those, with the same network
# from scratch beside them. Look at the test images once.

# %% [markdown]
# Your guesses beside the results, if you recorded any:

# %%
Predict.report()

# %% [markdown]
# ## Summary
#
# - **Negative transfer** belongs to a source, a target, a budget of labels *and a baseline*: with 20 labels of `mnist`,
#   frozen clothes features hurt against raw pixels and help against training from scratch.
# - The **distance** of two domains picks the better of two sources here, but it says neither how much you win nor where
#   to cut. Of the scores that read your labels, **LogME** trains no probe, and twelve candidates show no difference
#   between its ranking and that of a **cross-validated probe**. The **H-score** gives noise the full mark where there are
#   fewer images than features; **LEEP** and **NCE** need a source head.
# - Judge a score by a **stupid rule** beside it (the deepest cut, a fixed favourite, chance) and by an interval over
#   candidates. Twelve candidates tell good from others, not best from second best.

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer and run the cell. It says whether the answer is right, and if not, what is missing.
# Hints and solutions are folded.

# %% [markdown]
# **1. Which of them hurt?** Four pretrained networks were tried on one target with 20 labels. The table gives, in
# percentage points of accuracy, the mean difference over ten draws and its 95 % interval. Which sources are shown to
# hurt, *against raw pixels*? Write their names into a set, such as `{"letters", "maps"}`.
#
# | source | minus raw pixels | minus the same network from scratch |
# |---|---|---|
# | letters | 8 ± 3 | 21 ± 4 |
# | shoes | -4 ± 6 | 12 ± 5 |
# | maps | -5 ± 2 | 9 ± 3 |
# | sounds | -9 ± 4 | -6 ± 3 |
#
# <details><summary>Hint</summary>
#
# Where does each interval begin and end? An interval that holds 0 shows neither harm nor help.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# hurt = {"maps", "sounds"}
# ```
#
# </details>

# %%
from tlkit.exercises import check

hurt = ...  # your answer

check("08.1", hurt)

# %% [markdown]
# **2. What a score costs.** You take the candidate that a score puts on top. Write `lost(scores, accuracies)`: how much
# accuracy you lose by that, against the best candidate. Both are arrays with an entry per candidate. If several
# candidates share the highest score, you take one of them blindly: return the loss that is to be expected.
#
# <details><summary>Hint</summary>
#
# `scores == scores.max()` says which candidates are on top. Of several, what accuracy do you get on average?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def lost(scores, accuracies):
#     top = scores == scores.max()
#     return accuracies.max() - accuracies[top].mean()
# ```
#
# </details>

# %%
from tlkit.exercises import check


def lost(scores, accuracies): ...  # your code


check("08.2", lost)

# %% [markdown]
# **3. Mend a choice.** This program should choose among candidates, a dictionary from a name to an array of features
# with a row per image. Give it one candidate of pure noise with many features: it takes the noise. Mend it, so that
# it takes the candidate whose features tell the classes apart on images that it did not learn from.
#
# ```python
# from sklearn.linear_model import LogisticRegression
#
# def choose(candidates, y):
#     scores = {name: LogisticRegression(max_iter=2000).fit(x, y).score(x, y) for name, x in candidates.items()}
#     return max(scores, key=scores.get)
# ```
#
# <details><summary>Hint</summary>
#
# On which labels is each probe scored? scikit-learn's `cross_val_score` scores it on labels that were set aside.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# from sklearn.linear_model import LogisticRegression
# from sklearn.model_selection import cross_val_score
#
# def choose(candidates, y):
#     probe = LogisticRegression(max_iter=2000)
#     scores = {name: cross_val_score(probe, x, y, cv=3).mean() for name, x in candidates.items()}
#     return max(scores, key=scores.get)
# ```
#
# </details>

# %%
from tlkit.exercises import check


def choose(candidates, y): ...  # your code


check("08.3", choose)

# %% [markdown]
# **4. LogME, centred** (without a check). LogME's model has no intercept, while the linear probe has one. Subtract
# its mean from each feature before `log_me` (`x - x.mean(axis=0)`) and add this to `SCORES` as "LogME, centred".
# Predict first: does $\tau$ rise, and on which target most? Then predict which of the asserts of section 5 hold with
# `PER_CLASS = 30`, and look: with 300 images, does the H-score recover?
