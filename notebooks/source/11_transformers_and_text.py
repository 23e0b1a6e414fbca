# %% [markdown]
# # 11 · Transformers and text
#
# **Question: a Transformer has read a billion pairs of other people's sentences. Does it help you to tell praise from
# blame in yours, and does what it learned in one kind of text hold in the next?**
#
# Reading time: about 50 minutes, 40 without the sections marked as optional; running it takes about a minute and a
# half. You need: notebooks 03, 04 and 05, and once, with a connection to the internet, `tlkit fetch text` in a
# terminal: the weights (91 MB) and the sentences belong to others and are not part of the package.
#
# In notebook 00 you wrote `keras.layers.Dense(len(classes), name="head")(base(image))`. Here the base reads sentences, and
# the head stays what it was. Section 11 is that program in plain Keras.
#
# | word | meaning here |
# |---|---|
# | token | a word, or a piece of one; what the encoder reads in place of pixels |
# | attention | each token takes a weighted mean of all tokens; the weights are computed from the tokens |
# | attention head | one of several attentions side by side; **head** alone stays the layer that names the class |
# | block | attention, then a small network for each token; a stage of this backbone |
# | TF-IDF | the baseline that counts words, each weighed by how rare it is |
#
# Where nothing was fetched, the next cell says so in one line, and all else stops there.

# %%
from tlkit.text import TEXT_DOMAINS, load_text_backbone, load_text_domain

backbone = load_text_backbone("minilm")
domains = {name: load_text_domain(name) for name in TEXT_DOMAINS}

# %%
import itertools

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from scipy import special

# %%
import tlkit
from tlkit import plots, probe
from tlkit.text import attention_maps, tokenize, tokens_of
from tlkit.text.encoder import AttentionWeights, MeanOfTokens, MixValues
from tlkit.training import logistic_regression

SEED = 0
DRAWS = 10  # of the labels; every claim about labels is a mean over them
POOL, TEST = 500, 400  # sentences per domain: to draw labels from, and held out for scoring
PER_CLASS = 50  # 100 labels in all
METHODS = ("pretrained", "TF-IDF")
plt.rcParams["figure.dpi"] = 72  # a notebook with many pictures stays small

# %% [markdown]
# ## 1. Four domains, one question
#
# People rated each sentence from -4 to 4 (Hutto & Gilbert, 2014); here a sentence is *positive* above a half,
# *negative* below minus a half, and left out in between. The movie snippets come from Pang & Lee (2004), the product
# reviews from Hu & Liu (2004). No review and no article has sentences in both parts, training and test.

# %%
SHOWN = {"movies": 165, "products": 537, "editorials": 437, "tweets": 733}
cards = {
    name: {
        "training sentences": len(domain.train),
        "test sentences": len(domain.test),
        "positive (test)": round(float(domain.test.y.mean()), 2),
        "median tokens": int(np.median(np.count_nonzero(domain.train.x, axis=1))),
        "one of them": domain.test.texts[SHOWN[name]],
    }
    for name, domain in domains.items()
}
pd.DataFrame(cards).T

# %%
assert abs(cards["tweets"]["positive (test)"] - 0.66) < 0.01
assert abs(cards["editorials"]["positive (test)"] - 0.4) < 0.01

# %% [markdown]
# The classes are not equally common, and their shares differ between domains. So 0.66 on the test tweets is what you
# get for calling everything positive. Below, **balanced accuracy** (the mean of both classes' own accuracies; one half
# for a model that always says the same) stands beside accuracy wherever domains are compared.

# %% [markdown]
# ## 2. Tokens
#
# The encoder knows 30,522 word pieces. A word that is not among them is put together from pieces; `##` marks the inside
# of a word.
#
# **Predict before you run:** what becomes of "Unwatchable", of "café", and of a smiling emoji?

# %%
ids = tokenize(["Unwatchable!", "A café.", "So good 😀", "So good :)"])
for row in ids:
    print(tokens_of(row))
ids.shape, ids.dtype

# %%
assert "cafe" in tokens_of(ids[1])
assert "[UNK]" in tokens_of(ids[2])
assert "[UNK]" not in tokens_of(ids[3])

# %% [markdown]
# Capitals and accents are gone, and the emoji is one unknown token: what it said is lost. A smiley made of punctuation
# is not. Each text begins with `[CLS]`, ends in `[SEP]`, and is filled with zeros, the *padding*, up to 64 tokens.

# %% [markdown]
# ## 3. Attention, written out
#
# Take a toy sentence of four words and one padding. Each token has three short vectors. Its **query** says what it
# looks for, its **key** what it offers to those who look, its **value** what they get. In a Transformer all three are
# learned linear maps of the same vector, that of the token: $q = xW_q$, $k = xW_k$ and $v = xW_v$ (biases left out),
# with the same three matrices for every token. Section 4 takes them from the network. Here $q$, $k$ and $v$ are set
# by hand: "film" looks for properties (first axis), "good" looks for negations (second axis), the others look for
# nothing. The two axes of a value mean *pleasant* and *about a film*.

# %%
words = ["not", "a", "good", "film", "[PAD]"]
q = np.array([[0, 0], [0, 0], [0, 3], [3, 0], [0, 0]], np.float32)  # (tokens, width)
k = np.array([[0, 2], [0, 0], [2, 0], [0, 0], [2, 2]], np.float32)  # padding holds anything
v = np.array([[-1, 0], [0, 0], [1, 0], [0, 1], [9, 9]], np.float32)
is_token = np.array([1, 1, 1, 1, 0], bool)

# %% [markdown]
# $$\mathrm{attention}(Q, K, V) = \mathrm{softmax}\left(\frac{Q K^\top}{\sqrt{d}}\right) V$$
#
# The product of a query and a key is a score, the softmax makes each row of scores sum to 1, and these weights mix the
# values (Vaswani et al., 2017, arXiv:1706.03762). The **mask** sets the score of padding to minus infinity, or nearly.
#
# **Predict before you run:** whom does "film" look at? And whom would it look at without the mask?


# %%
def attend(q, k, mask):
    scores = q @ k.T / np.sqrt(q.shape[1])  # (tokens, tokens): rows look, columns are looked at
    scores = np.where(mask, scores, -1e9)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


# %%
maps = {"no mask": attend(q, k, np.ones(5, bool)), "padding masked": attend(q, k, is_token)}
axes = plt.subplots(1, 2, figsize=(7.5, 3.2), layout="constrained", sharey=True)[1]
for ax, (title, weights) in zip(axes, maps.items(), strict=True):
    options = {"annot": True, "fmt": ".2f", "cmap": "Blues", "vmin": 0, "vmax": 1, "cbar": False, "square": True}
    sns.heatmap(weights, xticklabels=words, yticklabels=words, ax=ax, **options)
    ax.set(title=title, xlabel="is looked at", ylabel="looks")
    ax.tick_params(length=0, rotation=0)

# %% [markdown]
# In both tables there is one row for each word that looks. Without the mask, padding takes part of every row. With it,
# "film" looks at "good", "good" looks at "not", and a word that looks for nothing looks at all words alike. The
# picture follows "film" through all steps, from the learned matrices on:
#
# ![Four tokens, not, a, good and film, each with a vector x. Three learned matrices, the same for all tokens, turn each
# x into a query q, a key k and a value v. The softmax of q times k, divided by the root of d, with the query of film
# and the key of each token, says how much film looks at each: nearly all at good. The values, mixed with these weights,
# are the new vector of film.](pictures/attention.svg)
#
# Does the backbone's layer compute the same?

# %% tags=["summary-4"]
x = is_token[:, None].astype(np.float32)  # what the layer tells padding by: its vector is 0
by_layer = AttentionWeights(heads=1)([q[None], k[None], x[None]])
mixed = MixValues()([by_layer, v[None]])
by_hand = maps["padding masked"] @ v
assert np.allclose(by_layer[0, 0], maps["padding masked"], atol=1e-6)
assert np.allclose(mixed[0], by_hand, atol=1e-6)
pd.DataFrame(by_hand, words, ["pleasant", "about a film"]).round(2)

# %% [markdown]
# "film" has become pleasant by looking at "good", and "good" has become *un*pleasant by looking at "not". For the
# negation to reach "film", a second block must look at what the first one made. (The row of the padding is thrown
# away.)

# %% [markdown]
# ## 4. The block around it
#
# ```mermaid
# flowchart LR
#     T["token ids"] --> E["word + position,<br/>layer norm, dropout"]
#     E --> Q["queries, keys, values<br/>of 12 attention heads"]
#     M["mask: which ids are 0"] --> A
#     Q --> A["attention; heads concatenated,<br/>projected, dropout"]
#     A --> P1(("+"))
#     E --> P1
#     P1 --> L1["layer norm"]
#     L1 --> F["each token alone: 384 to 1,536,<br/>GELU, back to 384, dropout"]
#     F --> P2(("+"))
#     L1 --> P2
#     P2 --> L2["layer norm"]
#     L2 --> N["five more blocks, then the mean<br/>of the tokens, then the head"]
# ```
#
# (A diagram: embedded tokens enter the attention and also bypass it; both are added, then normalised; the same again
# around a small network that sees each token alone; five more such blocks, the mean of the tokens, the head.)
#
# The article's diagram (§ 2.2; notebook 09, section 4) is a single chain: attention, feed-forward, dropout, layer
# normalisation, "concatenation", head. Compared with the block above:
#
# - two **bypasses** are missing, and one of the two normalisations;
# - the concatenation joins the attention heads *inside* the attention, and nothing at the end;
# - dropout stands in front of each sum, and there is a mask, without which padding takes part;
# - it is a block, and there are several.
#
# The sum is normalised *after* it is taken ("post-norm"), as in BERT (Devlin et al., 2019, arXiv:1810.04805); most
# later networks normalise before. Here is the block written out, with the weights of the pretrained network:


# %%
def weights_of(name):
    return backbone.model.get_layer(name).get_weights()


def dense(x, name):
    kernel, bias = weights_of(name)
    return x @ kernel + bias


# %%
def norm(x, name):
    gamma, beta = weights_of(name)
    centred = x - x.mean(axis=-1, keepdims=True)
    return gamma * centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True)) + beta


# %%
def attention(x, at):  # (tokens, 384) -> (tokens, 384); no padding here, so no mask
    q, k, v = (np.split(dense(x, f"{at}_{part}"), 12, axis=1) for part in ("query", "key", "value"))
    everything = np.ones(len(x), bool)
    heads = [attend(*each, everything) @ value for *each, value in zip(q, k, v, strict=True)]  # 12 of (tokens, 32)
    return dense(np.concatenate(heads, axis=1), f"{at}_out")


def feed_forward(x, at):
    z = dense(x, f"{at}_mlp1")
    return dense(z * special.ndtr(z), f"{at}_mlp2")  # GELU: z times the normal distribution's share below z


# %%
def block(x, at):
    y = norm(x + attention(x, at), f"{at}_norm1")
    return norm(y + feed_forward(y, at), f"{at}_norm2")


def without_bypasses(x, at):
    return norm(feed_forward(norm(attention(x, at), f"{at}_norm1"), at), f"{at}_norm2")


def chain(x, at):  # the article's order; its dropout does nothing when nothing is trained
    return norm(feed_forward(attention(x, at), at), f"{at}_norm2")


# %% [markdown]
# **Predict before you run:** without the bypasses, what happens to the tokens of a sentence after six blocks?

# %%
OWN = "the first hour is slow , but the end is well worth the wait"
ids = tokenize([OWN])[:, : len(tokens_of(tokenize([OWN])[0]))]
through = {"the block": block, "without bypasses": without_bypasses, "the chain": chain}
embedded = tlkit.split_at(backbone, 1)[0](ids)[0].numpy()
after = dict.fromkeys(through, embedded)
for number in range(1, 7):
    after = {name: step(after[name], f"block{number}") for name, step in through.items()}

# %%
by_model = backbone.model(ids)[0].numpy()
largest = float(abs(after["the block"].mean(axis=0) - by_model).max())
assert largest < 1e-4
print("written out and the model agree")


# %% tags=["nbval-ignore-output"]
def alike(tokens):  # mean cosine between two different tokens of the sentence
    unit = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    n = len(unit)
    return float(((unit @ unit.T).sum() - n) / (n * (n - 1)))


similarity = {"embeddings": alike(embedded), **{name: alike(tokens) for name, tokens in after.items()}}
{name: round(value, 2) for name, value in similarity.items()}

# %% [markdown]
# The numbers are mean cosines between two tokens of the sentence. Without the bypasses all tokens end up as nearly
# the same vector. Attention is a mean, and a mean of means forgets who was who (Dong et al., 2021, arXiv:2103.03404).
# The bypasses keep the tokens apart; the missing normalisation of the chain makes no difference beside that. (These
# weights were trained with bypasses, so this says what the bypasses do here, not what another training could do
# without them.)

# %%
for name in ("without bypasses", "the chain"):
    assert similarity[name] > 0.9
    assert similarity["the block"] < similarity[name] - 0.3

# %% [markdown]
# ## 5. Pretrained, random, counted
#
# Three ways to turn a sentence into numbers, and the same logistic regression (`linear_probe`) on each:
#
# - the **pretrained** encoder, frozen: 384 numbers per sentence;
# - the same encoder with **random weights**, on tweets: what the architecture does without having read anything;
# - **TF-IDF** on the same word pieces: one column per piece, computed from no other sentences than yours.
#
# Sentences that stand next to each other in a file have much in common, so both the pool and the test sentences are
# drawn at random. What is frozen runs once; the pretrained encoder is read at all its seven boundaries on the way, which
# section 7 comes back to.


# %%
def some(split, n):
    return split[np.random.default_rng(SEED).choice(len(split), n, replace=False)]


pools = {name: some(domain.train, POOL) for name, domain in domains.items()}
tests = {name: some(domain.test, TEST) for name, domain in domains.items()}
untrained = load_text_backbone("minilm", weights=None, seed=SEED)


# %%
WIDTH, BLOCK_STAGES = 384, tuple(range(1, 8))
means = [MeanOfTokens()(backbone.boundary(stage)) for stage in BLOCK_STAGES[:-1]]
every_stage = keras.Model(backbone.model.input, keras.ops.concatenate([*means, backbone.boundary(7)], axis=1))


def features(model, name):
    return tuple(tlkit.cache_features(model, part[name]) for part in (pools, tests))


def cut(found, stage):
    return tuple(tlkit.Split(part.x[:, WIDTH * (stage - 1) : WIDTH * stage], part.y) for part in found)


# %%
at_all_stages = {name: features(every_stage, name) for name in TEXT_DOMAINS}
ways = {
    name: {"pretrained": cut(at_all_stages[name], 7), "TF-IDF": (pools[name], tests[name])} for name in TEXT_DOMAINS
}
ways["tweets"]["random weights"] = features(untrained.model, "tweets")
ways["tweets"]["pretrained"][0]

# %% [markdown]
# **Predict before you run:** with 100 labels of tweets, how many percentage points lie between the pretrained encoder
# and TF-IDF? And does the random encoder beat TF-IDF?

# %%
from tlkit.widgets import Predict

points = Predict("Tweets, 100 labels: how many points is the encoder above TF-IDF?", between=(-10, 40))
points

# %%
BUDGETS = (5, 25, 50, 100)  # labels of each class
curves = {name: tlkit.few_shot_curve(way, per_class=BUDGETS, seeds=DRAWS) for name, way in ways.items()}
curves = pd.concat(curves, names=["domain"]).reset_index("domain")

# %%
axes = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained", sharex=True, sharey=True)[1].ravel()
for ax, name in zip(axes, TEXT_DOMAINS, strict=True):
    plots.plot_few_shot(curves.query("domain == @name"), ax=ax)
    positive = tests[name].y.mean()
    ax.axhline(max(positive, 1 - positive), color="0.5", linestyle="--", linewidth=1)
    ax.set_title(name)
    ax.label_outer()

# %% [markdown]
# There is a panel for each domain: test accuracy against labels of each class, with 95 % intervals over draws of the
# labels. The dashes are what you get for always naming the more common class. The pretrained line lies above the
# others in every panel. With five labels of each class, on products and on tweets, its interval still reaches below
# the dashes.


# %% tags=["plumbing"]
def in_words(values):
    return "{:.3f} ± {:.3f}".format(*tlkit.mean_interval(values))


# %% tags=["nbval-ignore-output"]
at_100 = curves.query("per_class == @PER_CLASS")
table = at_100.pivot_table(index="domain", columns="method", values="accuracy", aggfunc=in_words)
table.loc[list(TEXT_DOMAINS)].fillna("")

# %% tags=["plumbing", "summary-1"]
level = at_100.pivot_table(index="seed", columns=["domain", "method"], values="accuracy")
for name in TEXT_DOMAINS:
    mean, half = tlkit.mean_interval(level[name]["pretrained"] - level[name]["TF-IDF"])
    assert mean > 0.05
    assert mean - half > 0  # no accident of the draw
    means = curves.query("domain == @name").pivot_table(index="per_class", columns="method", values="accuracy")
    assert means.loc[25, "pretrained"] > means.loc[100, "TF-IDF"]
mean, half = tlkit.mean_interval(level["tweets"]["TF-IDF"] - level["tweets"]["random weights"])
assert mean - half > 0  # worse than counting
assert level.mean()[:, "pretrained"].idxmin() == "movies"

# %% tags=["nbval-ignore-output"]
points.compare(100 * (level["tweets"]["pretrained"] - level["tweets"]["TF-IDF"]).mean())

# %% [markdown]
# - The pretrained encoder wins in each domain, and with a *quarter* of the labels: 25 of each class do more than 100
#   with TF-IDF.
# - The architecture alone is worth little: with random weights, tried on tweets alone, it is worse than counting words.
# - Movies are the hardest of the four. Section 8 has more to say about them.

# %% [markdown]
# ### How these weights were made (optional)
#
# Nobody labelled sentences as praise or blame for this encoder. Its weights came about in three steps.
#
# 1. **Distillation.** A large Transformer had learned to fill in words that were taken out of texts. A smaller one of
#    twelve blocks was then trained to attend as its last block attends (MiniLM; Wang et al., 2020, arXiv:2002.10957).
# 2. **Every second block** was left out: six remain (model card of `nreimers/MiniLM-L6-H384-uncased`).
# 3. **Contrast.** More than a billion pairs of sentences came from the web: a question and its answer, a title and its
#    text, two posts of one thread. For each sentence the encoder had to tell its partner from the partners of the other
#    pairs in the batch (model card of `all-MiniLM-L6-v2`; Reimers & Gurevych, 2019, arXiv:1908.10084, describe the library).
#
# The loss of the third step is the cross-entropy of notebook 01. The logits are cosines between sentences, divided by a
# temperature, and the right class is the partner. Here it is, on six pairs:

# %%
PAIRS = (
    ("The film bored me.", "I nearly fell asleep in the cinema."),
    ("My phone does not charge.", "The battery stays empty all night."),
    ("The soup was far too salty.", "Somebody had dropped the salt into the pot."),
    ("She won the race.", "Nobody reached the finish before her."),
    ("The train was late again.", "We waited an hour on the platform."),
    ("How do I bake bread?", "Mix flour, water and yeast, let it rise, then use a hot oven."),
)


# %%
def cosines(network):
    sides = [np.asarray(network.model(tokenize(list(side)))) for side in zip(*PAIRS, strict=True)]
    first, second = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides)
    return first @ second.T


# %% tags=["nbval-ignore-output"]
TEMPERATURE = 0.05
losses = {}
for name, network in {"pretrained": backbone, "random weights": untrained}.items():
    log_shares = np.log(keras.ops.softmax(cosines(network) / TEMPERATURE))
    losses[name] = float(-np.diag(log_shares).mean())
{name: round(loss, 2) for name, loss in {**losses, "guessing": float(np.log(len(PAIRS)))}.items()}

# %% tags=["nbval-ignore-output"]
pd.DataFrame(cosines(backbone), columns=[f"answer {i}" for i in range(6)]).round(2)

# %%
assert (cosines(backbone).argmax(axis=1) == np.arange(len(PAIRS))).all()  # each sentence finds its partner
assert losses["pretrained"] < 0.5 < np.log(len(PAIRS)) - 0.1 < losses["random weights"]

# %% [markdown]
# Each sentence has its largest cosine with its partner, although partners share hardly a word. With random weights the
# loss is no better than guessing. Six pairs are an illustration, not a measurement; the curves above are the measurement.
#
# So "pretrained on unlabelled data" means here that the pairs were found, not rated. The class that this encoder learned
# to name was "which of these sentences belongs to mine".

# %% [markdown]
# ## 6. From one domain to the next
#
# Now the labels come from one domain (the **source**), and the same probe reads another one (the **target**): the source
# head on the target, zero-shot, as in notebook 03. Both scores stand side by side, since the shares of the classes
# differ.


# %%
def both_scores(answers, y):
    recalls = [np.mean(answers[y == label] == label) for label in (0, 1)]
    return {"accuracy": np.mean(answers == y), "balanced accuracy": np.mean(recalls)}


def test_of_all(method):  # the four test sets one behind the other: a probe reads them in one go
    parts = [ways[target][method][1] for target in TEXT_DOMAINS]
    return tlkit.Split(np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts]))


# %%
rows, all_tests = [], {method: test_of_all(method) for method in METHODS}
for method, source, draw in itertools.product(METHODS, TEXT_DOMAINS, range(DRAWS)):
    few = ways[source][method][0].take(PER_CLASS, seed=draw)
    answers = np.split(probe.probe_classes(few, all_tests[method]), len(TEXT_DOMAINS))  # TEST answers for each target
    for target, found in zip(TEXT_DOMAINS, answers, strict=True):
        at = {"method": method, "source": source, "target": target, "draw": draw}
        rows.append({**at, **both_scores(found, tests[target].y)})
transfer = pd.DataFrame(rows)
transfer.shape

# %% [markdown]
# **Predict before you run:** which source is the best one for tweets, which the worst? And which is worth more on a new
# domain: 100 labels of its own and TF-IDF, or 100 labels of another domain and the pretrained encoder?


# %% tags=["plumbing"]
def matrix(table, method, score):
    means = table[table["method"] == method].pivot_table(index="source", columns="target", values=score)
    return means.loc[list(TEXT_DOMAINS), list(TEXT_DOMAINS)]


def heat(ax, table, title, **options):
    sns.heatmap(table, annot=True, fmt=".2f", square=True, cbar=False, ax=ax, **options)
    ax.set(title=title, xlabel="target", ylabel="source")
    ax.label_outer()
    ax.tick_params(length=0, rotation=0)


# %%
SCORES = ("accuracy", "balanced accuracy")
axes = plt.subplots(2, 2, figsize=(9.5, 8), layout="constrained", sharex=True, sharey=True)[1]
for ax, (score, method) in zip(axes.ravel(), itertools.product(SCORES, METHODS), strict=True):
    heat(ax, matrix(transfer, method, score), f"{method}: {score}", cmap="Blues", vmin=0.5, vmax=0.9)

# %% [markdown]
# Each of the four tables has a row for each source and a column for each target; a cell is the mean over ten draws of
# 100 labels. The pretrained encoder on the left is dark nearly everywhere. TF-IDF on the right is pale off the
# diagonal: a half is chance.
#
# The **drop** is what a source costs the target: the score of the target's own labels minus that of the source's.

# %%
at = ["method", "target", "draw"]
own = transfer[transfer["source"] == transfer["target"]].set_index(at)
for score in SCORES:
    transfer[f"drop in {score}"] = own.loc[transfer.set_index(at).index, score].to_numpy() - transfer[score]

# %%
axes = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained", sharey=True)[1]
for ax, method in zip(axes, METHODS, strict=True):
    title = f"{method}: drop in balanced accuracy"
    heat(ax, matrix(transfer, method, "drop in balanced accuracy"), title, cmap="Oranges", vmin=0, vmax=0.2)

# %% [markdown]
# Now each cell is a drop; on the diagonal it is zero. Where TF-IDF drops little it has little to lose: see the
# editorials, which it reads hardly better than chance even with their own labels.

# %% tags=["nbval-ignore-output"]
away = transfer[transfer["source"] != transfer["target"]]
groups = {"other domain": away, "own labels": own.reset_index()}
summary = {
    (score, name): table.groupby(["method", "draw"])[score].mean().groupby("method").agg(in_words)
    for score in SCORES
    for name, table in groups.items()
}
pd.DataFrame(summary).loc[list(METHODS)].T


# %% tags=["summary-2"]
def paired(score):
    """By draw: the pretrained encoder on other domains, TF-IDF on other domains, and TF-IDF on its own."""
    other, at_home = (table.pivot_table(index="draw", columns="method", values=score) for table in groups.values())
    return other["pretrained"], other["TF-IDF"], at_home["TF-IDF"]


for score in SCORES:
    pretrained, counted, counted_at_home = paired(score)
    assert (pretrained - counted).mean() > 0.1
    assert (pretrained - counted_at_home).min() > 0.02
    assert away.groupby(["method", "draw"])[f"drop in {score}"].mean().min() > 0.03  # with both, in each draw

# %% tags=["summary-2"]
lost = matrix(transfer, "pretrained", "drop in balanced accuracy")
assert lost["tweets"].drop("tweets").min() > 0.07
assert lost.loc["movies", "tweets"] > lost.loc["tweets", "movies"] + 0.04
both = pd.Series({score: matrix(transfer, "pretrained", score).loc["products", "editorials"] for score in SCORES})
assert both["accuracy"] > both["balanced accuracy"] + 0.03

# %% [markdown]
# So on average other people's labels do more for the pretrained encoder than the target's own do for TF-IDF. Does this
# hold for each target? Here is the difference, draw by draw: the encoder's mean over the three other sources, minus
# TF-IDF with the target's own labels.


# %%
def lead_of_others(target, score):
    at = {method: table[(table["target"] == target) & (table["method"] == method)] for method, table in chosen.items()}
    other, counted = (rows.groupby("draw")[score].mean() for rows in at.values())
    return other - counted


# %% tags=["nbval-ignore-output"]
chosen = {"pretrained": away, "TF-IDF": groups["own labels"]}
lead = {score: {target: lead_of_others(target, score) for target in TEXT_DOMAINS} for score in SCORES}
pd.DataFrame({score: {target: in_words(values) for target, values in lead[score].items()} for score in SCORES})

# %% tags=["summary-2"]
for score in SCORES:
    found = {target: tlkit.mean_interval(values) for target, values in lead[score].items()}
    assert all(found[target][0] > found[target][1] for target in TEXT_DOMAINS if target != "tweets")  # above 0
    assert abs(found["tweets"][0]) < found["tweets"][1]  # it holds 0
assert lost.loc["products", "editorials"] > 0.08

# %% tags=["nbval-ignore-output"]
cells = transfer.groupby(["method", "source", "target"])["balanced accuracy"]
width = cells.agg(lambda values: tlkit.mean_interval(values)[1])
pd.DataFrame({"half a cell's 95 % interval, median": width.groupby("method").median()}).round(3)

# %% [markdown]
# - **There is a drop**, with both methods: the target's own labels are worth more than those of another domain.
# - The pretrained encoder with *other people's* labels beats TF-IDF with the target's *own* on average. It does so on
#   editorials, where TF-IDF is hardly above chance, on products and, by little, on movies. On tweets no difference shows.
# - The drop is **not symmetric**. Each other source costs tweets more than seven points. Tweets as a source cost
#   movies much less than movies as a source cost tweets. Products as a source cost the editorials more than eight
#   points.
# - **Both scores** mostly tell one story. From products to editorials they do not: by accuracy the probe is above the
#   more common class, but much of that comes from calling most sentences negative. Balanced accuracy sees it.
# - The last table: a single cell is known to a few points only. Trust the pattern, not the cell.

# %% [markdown]
# ## 7. Freezing by block
#
# The backbone has seven stages: the embeddings, then the six blocks; the last ends in the mean of the tokens. Boundaries
# lie *between* blocks, where one tensor passes: a cut inside a bypass is not possible (notebook 03).
#
# First, what does a probe read off at each boundary? Section 5 has kept the mean of the tokens at all seven.
#
# **Predict before you run:** at which boundary is sentiment read off best?

# %%
by_depth = []
for name in ("movies", "tweets"):
    boundaries = {stage: cut(at_all_stages[name], stage) for stage in BLOCK_STAGES}
    curve = tlkit.few_shot_curve(boundaries, per_class=[PER_CLASS], seeds=DRAWS)
    by_depth.append(curve.assign(domain=name, stage=curve["method"]))
by_depth = pd.concat(by_depth)

# %% tags=["nbval-ignore-output"]
by_depth.pivot_table(index="stage", columns="domain", values="accuracy", aggfunc=in_words)

# %% tags=["summary-1"]
depth = by_depth.pivot_table(index="stage", columns="domain", values="accuracy")
assert depth.loc[1, "tweets"] > level["tweets"]["TF-IDF"].mean() + 0.04
assert (depth.loc[7] > depth.loc[1]).all()
assert (depth.loc[4:5].mean() > depth.loc[7] + 0.005).all()

# %% [markdown]
# Stage 1 is the plain mean of the word vectors (and positions): no attention at all. On tweets that alone is far above
# TF-IDF, and not far below the whole encoder: much of what the pretraining gives is **word vectors**. The blocks add a
# few points, the last two of them none. (A guess at the reason: the encoder was trained to bring sentences about the
# same thing together, and praise and blame of the same film are about the same thing.)
#
# What does it cost to let blocks learn? What is frozen runs once; the rest runs in each epoch, forwards and backwards.

# %%
cost = {}
for stage in range(8):
    tlkit.freeze_to(backbone, stage)
    trunk, _ = tlkit.split_at(backbone, stage)
    once = tlkit.multiply_adds(trunk, length=20) / tlkit.multiply_adds(backbone.model, length=20)
    cost[stage] = {"weights that learn": tlkit.count_weights(backbone.model).trainable, "of the work, done once": once}
pd.DataFrame(cost).T.round(2).astype({"weights that learn": int})

# %% [markdown]
# More than half of all weights are the table of word pieces. It costs no multiplications, and learns at stage 0 only.
#
# ### The recipe
#
# The head starts as the probe. Then AdamW (Adam with weight decay) trains for four epochs in batches of 16. The rate
# goes up for a tenth of the steps and down along half a cosine, so that the first steps are small. This is usual for
# Transformers; other schedules were not tried here.


# %%
class WarmUpThenCosine(keras.callbacks.Callback):
    def __init__(self, rate, steps):
        super().__init__()
        self.rate, self.steps, self.step = rate, steps, 0

    def on_train_batch_begin(self, batch, logs=None):
        warm = max(1, round(0.1 * self.steps))
        up, down = (self.step + 1) / warm, (self.step - warm) / (self.steps - warm)
        share = up if self.step < warm else (1 + np.cos(np.pi * down)) / 2
        self.model.optimizer.learning_rate = self.rate * share
        self.step += 1


# %% [markdown]
# Here it is tried once, with the last block alone, on 100 labels of tweets. `fine_tune` freezes, cuts, caches and trains,
# as for images.
#
# **Predict before you run:** how many of 200 answers change, and do they get better?

# %%
changing = Predict("How many of the 200 answers change?", between=(0, 100))
changing

# %%
STAGE, RATE, EPOCHS, BATCH = 6, 1e-4, 4, 16
few = pools["tweets"].take(PER_CLASS, seed=SEED)
steps = EPOCHS * -(-len(few) // BATCH)
pretrained = backbone.model.get_weights()
head = tlkit.build_head(backbone, 2)
tlkit.fit_probe(head, ways["tweets"]["pretrained"][0].take(PER_CLASS, seed=SEED))  # of the same sentences
READ_AGAIN = tests["tweets"][:200]
known = ways["tweets"]["pretrained"][1][: len(READ_AGAIN)]  # section 5 has read them all
answers = {"probe": tlkit.predict_classes(head, known)}

# %%
schedule, size = [WarmUpThenCosine(RATE, steps)], {"epochs": EPOCHS, "learning_rate": RATE, "batch_size": BATCH}
options = {"callbacks": schedule, "optimizer": "adamw", "seed": SEED, "progress": False, **size}
history = tlkit.fine_tune(backbone, head, few, stage=STAGE, **options)
answers["tuned"] = tlkit.predict_classes(head, tlkit.cache_features(backbone.model, READ_AGAIN))
backbone.model.set_weights(pretrained)

# %% tags=["nbval-ignore-output"]
changed = int((answers["probe"] != answers["tuned"]).sum())
right = {name: round(float(np.mean(found == READ_AGAIN.y)), 3) for name, found in answers.items()}
{"answers that change": changed, **right}

# %% tags=["nbval-ignore-output"]
changing.compare(changed)

# %%
assert 2 < changed < 50
assert history["loss"].iloc[-1] < history["loss"].iloc[0]

# %% [markdown]
# The training loss falls, and some answers change. For better or worse? One draw of 100 labels and 200 test sentences
# cannot say. That takes more trainings than this notebook has time for.

# %% [markdown]
# ## 8. Where does fine-tuning start to pay?
#
# **The figures of this section and the next one are stored, not computed here.** `tools/text_tables.py` measured them
# with the recipe above: ten draws of the labels, all test sentences of the domain. A test measures some of them
# again.


# %% tags=["plumbing"]
def stored(name):
    table = tlkit.stored_table(f"text_{name}")
    print(*(f"# {key}: {text}" for key, text in table.attrs.items()), sep="\n")
    return table


# %%
tuned_table = stored("fine_tuning")
tuned_table.shape

# %% [markdown]
# **Predict before you look:** 100 or 500 labels, and the last block, the last three, or everything learns. Where does
# it beat the probe?

# %%
few_labels = tuned_table.query("labels in [100, 500]")
few_labels.pivot_table(index="method", columns=["domain", "labels"], values="accuracy", aggfunc=in_words)

# %% [markdown]
# There is a column for each domain and number of labels. `stage 7` is the probe on the frozen encoder; at `stage 6`
# the last block learns, at `stage 4` the last three, at `stage 0` everything.
# All methods got the same labels, so look at the *differences* to the probe, draw by draw.

# %%
LEARNS = {"stage 6": "1 block", "stage 4": "3 blocks", "stage 0": "everything"}
by_draw = few_labels.pivot_table(index=["domain", "labels", "seed"], columns="method", values="accuracy")
over_probe = by_draw[list(LEARNS)].sub(by_draw["stage 7"], axis=0).rename(columns=LEARNS)


def draw_differences(ax, labels, color, shift):
    part = over_probe.loc[(ax.get_title(), labels)]
    mean, half = np.transpose([tlkit.mean_interval(part[way]) for way in part])
    places = np.arange(len(mean)) + shift
    ax.errorbar(places, mean, yerr=half, fmt="o", capsize=3, color=color, label=f"{labels} labels")


# %%
axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)[1]
for ax, name in zip(axes, ("movies", "tweets"), strict=True):
    ax.set(title=name, xticks=range(3), xticklabels=LEARNS.values(), xlabel="what learns")
    draw_differences(ax, 100, plots.SOURCE_COLOR, -0.1)
    draw_differences(ax, 500, plots.TARGET_COLOR, 0.1)
    ax.axhline(0, color="0.5", linewidth=1)
axes[0].set_ylabel("accuracy minus probe")
axes[1].legend(frameon=False)
sns.despine()

# %% [markdown]
# Movies are on the left, tweets on the right, and in each panel more learns from left to right. Blue stands for 100
# labels, orange for 500; the grey line is the probe; bars are 95 % intervals over ten draws.


# %% tags=["plumbing"]
def above_zero(differences):
    mean, half = tlkit.mean_interval(differences)
    return mean - half > 0


# %% tags=["summary-3"]
above = {
    (domain, labels, way)
    for (domain, labels), table in over_probe.groupby(["domain", "labels"])
    for way in table
    if above_zero(table[way])
}
assert [key for key in above if key[1] == 100] == [("tweets", 100, "everything")]
assert len([key for key in above if key[1] == 500]) == 6  # all three, on both domains
for domain in ("movies", "tweets"):
    assert above_zero(over_probe.loc[domain, 500]["3 blocks"] - over_probe.loc[domain, 500]["1 block"])
assert above_zero(over_probe.loc["movies", 500]["everything"] - over_probe.loc["movies", 500]["3 blocks"])
over_probe.groupby(["domain", "labels"]).agg(in_words)

# %% [markdown]
# Judge all of them by their intervals. With 100 labels one of six lies above zero, everything on tweets: there
# fine-tuning gains about two points. On movies no gain shows. With 500 labels each way gains on both domains: one block
# a point or less, three blocks more than three points, everything about five. (Whether everything is better than three
# blocks is shown on movies only.) So where fine-tuning starts to pay depends on the domain and on what learns. (Four
# epochs at one rate, not tuned: another recipe may move it.)
#
# And with *all* labels? The probe and TF-IDF again, on the whole training part:

# %%
everything = tuned_table.query("labels > 500")
everything.pivot_table(index=["domain", "labels"], columns="method", values="accuracy").round(3)

# %%
whole = everything.pivot_table(index="domain", columns="method", values="accuracy")
assert abs(whole.loc["movies", "TF-IDF"] - whole.loc["movies", "stage 7"]) < 0.03
assert whole.loc["tweets", "stage 7"] > whole.loc["tweets", "TF-IDF"] + 0.03
tuned_on_500 = few_labels.query("domain == 'tweets' and labels == 500 and method == 'stage 0'")["accuracy"]
assert tuned_on_500.min() > whole.loc["tweets"].max()
assert over_probe.loc[("movies", 500), "everything"].mean() > 0.03

# %% [markdown]
# With nine thousand labelled snippets, counting words is as good on movies as the *frozen* encoder. So frozen features
# are worth most where labels are few. That says nothing of a tuned encoder: on 500 tweets it is better, in each draw,
# than both columns with all 2,362. How good it is when it is tuned on all labels was not measured.

# %% [markdown]
# ## 9. Forgetting, on the same task and on another
#
# **These figures are stored, too.** A probe for movies is fitted on the frozen encoder (500 labels) and then left
# alone. The whole encoder is tuned on something else, with a head of its own:
#
# - **tweets**: another domain, but the same task;
# - **products or editorials**: another *task*, namely to tell which of the two a sentence comes from; sentiment does
#   not matter there.
#
# Then the probe reads the test movies again through the tuned encoder: with the weights it has, and fitted anew on
# the same 500 labels (*refitted*). The column `own task` is the accuracy on what the encoder was tuned on. In the
# second table a loss below zero is a gain.
#
# **Predict before you look:** which of the two costs the movies more? Does the refitted head get back what was lost?

# %%
forgetting = stored("forgetting")
forgetting.groupby("tuned on")[["own task", "movies", "movies, head refitted"]].agg(in_words).replace("nan ± nan", "")

# %%
tuned_on = {task: table.set_index("seed") for task, table in forgetting.groupby("tuned on")}
untouched, same_task, other_task = (tuned_on[task] for task in ("nothing", "tweets", "products or editorials"))
lost = {
    "same task": untouched["movies"] - same_task["movies"],
    "other task": untouched["movies"] - other_task["movies"],
}
back = other_task["movies, head refitted"] - other_task["movies"]
rows = {**lost, "other task, back by refitting": back, "other task, not back": lost["other task"] - back}
pd.DataFrame({name: in_words(values) for name, values in rows.items()}, index=["accuracy"]).T

# %% tags=["summary-3"]
assert above_zero(-lost["same task"])  # better than before
assert lost["other task"].min() > 0  # in each draw worse
assert above_zero(lost["other task"])
assert above_zero(back)  # something comes back
assert above_zero(lost["other task"] - back)  # and something does not

# %% [markdown]
# Tuned on tweets, the encoder reads movies *better* than before, through a head that was never tuned with it: the task is
# the same, and what helps there helps here.
#
# Tuned on another task, the old head reads movies worse in each draw, and a refitted one gets a part of it back. This
# part is **drift, not loss**: the features moved away from under the head, and what it needs is still in them. The rest
# a head cannot bring back. Both parts are above zero with their whole intervals; on average the rest is the larger one.
# So before you call a network forgetful, fit the head again, if you still have the labels.

# %% [markdown]
# ## 10. What does an attention head look at? (optional)
#
# `attention_maps` gives the weights of the 12 attention heads of each block, for each pair of tokens. First come one
# sentence and three of the 72 attention heads. (They are counted from 0, and blocks from 1.)

# %%
maps = attention_maps(backbone, ids)  # the sentence of section 4, no padding
pieces = tokens_of(ids[0])
maps.shape

# %%
axes = plt.subplots(1, 3, figsize=(12, 4.4), layout="constrained", sharey=True)[1]
for ax, (number, head) in zip(axes, ((1, 2), (2, 8), (3, 9)), strict=True):
    options = {"cmap": "Blues", "vmin": 0, "vmax": 1, "cbar": False, "square": True}
    sns.heatmap(maps[number - 1, 0, head], xticklabels=pieces, yticklabels=pieces, ax=ax, **options)
    ax.set(title=f"block{number}, attention head {head}", xlabel="is looked at", ylabel="looks")
    ax.tick_params(length=0)

# %% [markdown]
# Each of the three maps has a row for each token that looks. On the left a dark line runs just below the diagonal:
# each token looks at the one before it. In the middle a fainter line runs just above it: most tokens look at the one
# after them. On the right there is a dark column: nearly all look at `[CLS]`.
#
# One sentence is an anecdote, so here are 40 sentences. How much of its weight does a token give to the one *before*
# it?

# %%
READ, LONGEST = 40, 32
some_ids = tests["movies"].x
some_ids = some_ids[np.count_nonzero(some_ids, axis=1) <= LONGEST][:READ, :LONGEST]
lengths = np.count_nonzero(some_ids, axis=1)


# %%
def to_previous(base, ids):
    """Mean weight that tokens give to the token before them: (blocks, attention heads)."""
    weights = np.diagonal(attention_maps(base, ids), offset=-1, axis1=3, axis2=4)  # (blocks, n, heads, pairs)
    pair = np.arange(1, ids.shape[1]) < np.count_nonzero(ids, axis=1)[:, None]  # both are tokens
    return (weights * pair[:, None]).sum(axis=(1, 3)) / pair.sum()


# %%
previous = to_previous(backbone, some_ids)
ax = plt.subplots(figsize=(8, 3.8), layout="constrained")[1]
sns.heatmap(previous, annot=True, fmt=".2f", cmap="Blues", vmin=0, vmax=1, cbar=False, ax=ax)
ax.set(xlabel="attention head", title="weight on the previous token", yticklabels=[f"block{i}" for i in range(1, 7)])
ax.tick_params(length=0, rotation=0)

# %%
order = np.sort(previous.ravel())
assert np.unravel_index(previous.argmax(), previous.shape) == (0, 2)
assert previous[0, 2] > 0.99
assert order[-2] < 0.5
assert abs(to_previous(untrained, some_ids) - (1 / lengths).mean()).max() < 0.02  # untrained: everywhere alike

# %% [markdown]
# The table has 6 blocks by 12 attention heads, and one cell is dark. Attention head 2 of `block1` gives the token
# before nearly all of its weight; no other gives it half. (With random weights each spreads its weight evenly over all
# tokens.)
#
# **Predict before you run:** the same tokens in random order: does it still look at the one before?

# %%
when_shuffled = Predict("How much weight does it give to the token before, in random order?", between=(0, 1))
when_shuffled

# %%
rng = np.random.default_rng(SEED)
shuffled = some_ids.copy()
for row, length in zip(shuffled, lengths, strict=True):
    rng.shuffle(row[1 : length - 1])  # [CLS] and [SEP] stay
given_to_previous = to_previous(backbone, shuffled)[0, 2]
assert given_to_previous > 0.98

# %% tags=["nbval-ignore-output"]
when_shuffled.compare(given_to_previous)

# %% [markdown]
# It does: it goes by the positions, not by the words. What it adds to each token is "who stood before me", from which
# later blocks can build pairs of words. Most attention heads are not as easily read.
#
# Where do the others look? In large part at `[CLS]`, which stands for no word. (Clark et al., 2019, arXiv:1906.04341,
# found attention heads in BERT that look at such marks, and some that look at neighbours.)


# %% tags=["nbval-ignore-output"]
def to_first(base, ids):
    """Mean weight that tokens give to [CLS]: (blocks, attention heads)."""
    token = ids != 0  # (n, tokens)
    return (attention_maps(base, ids)[..., 0] * token[:, None]).sum(axis=(1, 3)) / token.sum()


first = to_first(backbone, some_ids).mean(axis=1)
print(*[f"block{number}: {weight:.2f}" for number, weight in enumerate(first, start=1)], sep="\n")

# %%
assert first[1:5].min() > 0.4
assert first.min() > 2 * (1 / lengths).mean()

# %% [markdown]
# ### Attention is not an explanation
#
# A map of attention invites a story: "the model looked at *amazing*, so it said positive". Jain & Wallace (2019,
# arXiv:1902.10186) found, in other networks, that attention hardly agrees with what a word's removal changes, and that
# quite different attention can give the same answer. Wiegreffe & Pinter (2019, arXiv:1908.04626) objected: that
# depends on what one calls an explanation, and the attention must be shown to matter at all first. They asked what
# remains when attention is *uniform*: each token looks at all tokens alike. Let us ask that here. Queries of zero do it.
#
# **Predict before you run:** of 200 answers of the probe on tweets, how many stay as they were when one block's
# attention is made uniform? When all six are?

# %%
staying = Predict("How many of the 200 answers stay when all six blocks are made uniform?", between=(0, 200))
staying

# %%
few = ways["tweets"]["pretrained"][0].take(PER_CLASS, seed=SEED)
kernel, bias = logistic_regression(few)


def probe_answers():
    return (tlkit.cache_features(backbone.model, READ_AGAIN, cache_dir="memory").x @ kernel + bias).argmax(axis=1)


def make_uniform(block_number):  # queries of 0: all scores are alike
    layer = backbone.model.get_layer(f"block{block_number}_query")
    layer.set_weights([0 * weight for weight in layer.get_weights()])


# %%
given = (known.x @ kernel + bias).argmax(axis=1)
uniform = {}
for name, block_numbers in {"first block": [1], "last block": [6], "all blocks": range(1, 7)}.items():
    for number in block_numbers:
        make_uniform(number)
    found = probe_answers()
    uniform[name] = {"answers kept": np.mean(found == given), "accuracy": np.mean(found == READ_AGAIN.y)}
    backbone.model.set_weights(pretrained)

# %% tags=["nbval-ignore-output"]
uniform["nothing changed"] = {"answers kept": 1.0, "accuracy": np.mean(given == READ_AGAIN.y)}
pd.DataFrame(uniform).T.round(3)

# %% tags=["nbval-ignore-output"]
staying.compare(len(READ_AGAIN) * uniform["all blocks"]["answers kept"])

# %% tags=["summary-4"]
plain = uniform["nothing changed"]["accuracy"]
for name in ("first block", "last block"):
    assert uniform[name]["answers kept"] > 0.8
    assert uniform[name]["accuracy"] > plain - 0.06
assert 0.6 < uniform["all blocks"]["answers kept"] < 0.9
assert uniform["all blocks"]["accuracy"] < plain - 0.03

# %% [markdown]
# About nine answers in ten stay when one block's attention is thrown away; for `block1` that includes the attention
# head which looked so convincing above. Even with none at all most answers stay, as the word vectors of section 7
# suggest. So a map of one block cannot say *why* most of these answers were given.
#
# That makes neither attention useless (without any, accuracy falls) nor the maps: they say where a token's vector was
# mixed from. What a word does to an answer is another question. Take the word away, and look.

# %% [markdown]
# ## 11. The same in plain Keras
#
# To Keras the encoder is a model like any other: token ids in, 384 numbers out. Frozen, it runs once. The probe that the
# sections above have used is a dense layer too: a logistic regression with an L2 penalty, found by another algorithm.
# Here Adam finds it, in 200 steps with all labels at once.

# %%
labelled = pools["tweets"].take(PER_CLASS, seed=SEED)  # the 100 labels of section 10
encoder = backbone.model
encoder.trainable = False


def embed(ids):  # padding behind the longest sentence need not be computed
    return encoder.predict(ids[:, : np.count_nonzero(ids, axis=1).max()], verbose=0)


x = embed(labelled.x)
assert np.allclose(x, few.x, atol=1e-4)  # what tlkit has cached
x.shape

# %%
keras.utils.set_random_seed(SEED)
centre, n = x.mean(axis=0), len(x)
variance = np.full_like(centre, np.mean((x - centre) ** 2))  # one number for all, as the probe does it
normalise = keras.layers.Normalization(mean=centre, variance=variance)
logit = keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(1 / (2 * n)))  # the probe's penalty
head = keras.Sequential([keras.Input((384,)), normalise, logit])
head.compile(keras.optimizers.Adam(0.05), keras.losses.BinaryCrossentropy(from_logits=True))
for _ in range(200):
    head.train_on_batch(x, labelled.y)

sentence = keras.Input((None,), dtype="int32")
whole = keras.Model(sentence, head(encoder(sentence)))  # token ids in, one logit out

# %% tags=["nbval-ignore-output"]
asked = READ_AGAIN[::2]
length = np.count_nonzero(asked.x, axis=1).max()
answers = whole.predict(asked.x[:, :length], verbose=0)[:, 0] > 0
agree = np.mean(answers == given[::2])  # `given` are the probe's answers in section 10
assert agree > 0.97
print(f"{agree:.1%} of {len(answers)} answers are the probe's; accuracy {np.mean(answers == asked.y):.3f}")

# %% [markdown]
# The dense layer gives the probe's answers, but for a few at most: 200 steps end near the optimum, not at it.

# %% [markdown]
# ## 12. The same in four lines, with KerasHub (optional)
#
# KerasHub is Keras' own library of pretrained models. The lines below follow its documentation. **They are not run
# here and not tested**: they need `pip install keras-hub tensorflow-text` and a connection to the internet, and they
# load another, smaller BERT.
#
# ```python
# import keras_hub
#
# few = pools["tweets"].take(PER_CLASS, seed=SEED)
# model = keras_hub.models.BertTextClassifier.from_preset("bert_tiny_en_uncased", num_classes=2)
# model.fit([*few.texts], few.y, epochs=4)  # whole sentences: the tokenizer is inside
# ```
#
# They are short, but everything learns below a random head, and nothing is cached. Before you trust such a model, ask
# it what this notebook asked: what becomes of "café", to which length are sentences padded, and what do the probe and
# TF-IDF say?

# %% [markdown]
# Your guesses beside the results, if you recorded any:

# %%
Predict.report()

# %% [markdown]
# ## Summary
#
# - With 100 labels a pretrained encoder, frozen, beats counting words in each of four domains, and on average over ten
#   draws a quarter of the labels is enough for that. On tweets it is worse than counting when its weights are random,
#   and the word vectors alone are ahead of counting, too, on average.
# - Labels of another domain cost points, and on average not the same in both directions. Even so the pretrained encoder
#   is, over all targets, better with them than TF-IDF with the target's own; on one target of four no difference shows.
# - With 100 labels fine-tuning gains on the probe in one case of six, on tweets when everything learns; with 500 labels
#   it gains in all six. Tuned on the same task, the encoder forgot nothing. Tuned on another, the old head read worse in
#   each of ten draws, and a refitted one got a part of it back.
# - An attention map shows where vectors are mixed. It does not say why the answer came out.

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer and run the cell. It says whether the answer is right, and if not, what is missing.
# Hints and solutions are folded. The first three need nothing that was fetched.

# %% [markdown]
# **1. Attention by hand.** A query and the keys of four tokens have the width 4. The products of the query with the keys
# are $0$, $2 \log 2$, $2 \log 5$ and $99$, and the fourth token is padding. How much weight does each of the four get? Work
# it out on paper, and write a list of four numbers.
#
# <details><summary>Hint</summary>
#
# Divide by the root of the width, and take the padding out. What is $e$ to the power of $\log 2$?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# weights = [1 / 8, 2 / 8, 5 / 8, 0]  # e to the power of 0, log 2 and log 5, divided by their sum
# ```
#
# </details>

# %%
from tlkit.exercises import check

weights = ...  # your answer

check("11.1", weights)

# %% [markdown]
# **2. Who looks at the one before?** `weights` is the map of one attention head for one sentence, of shape (tokens,
# tokens): a row for each token that looks, a column for each that is looked at. Only the first `n` tokens are words, and
# padding follows. Write `weight_on_previous(weights, n)`: the mean weight that a word gives to the word before it. The
# first word has none before it, and does not count.
#
# <details><summary>Hint</summary>
#
# `np.diagonal(..., offset=-1)` is the line just below the diagonal. How many of its entries belong to words?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def weight_on_previous(weights, n):
#     return np.diagonal(weights[:n, :n], offset=-1).mean()
# ```
#
# </details>

# %%
from tlkit.exercises import check


def weight_on_previous(weights, n): ...  # your code


check("11.2", weight_on_previous)

# %% [markdown]
# **3. Mend the attention.** `q`, `k` and `v` have the shape (tokens, width), and `is_token` is `False` for padding.
# Each of `heads` attention heads has its own part of the width, and the program should return what the block's output
# projection gets: an array of shape (tokens, width). Three things are wrong. Mend them.
#
# ```python
# import numpy as np
#
# def side_by_side(q, k, v, is_token, heads):
#     mixed = []
#     for own_q, own_k, own_v in zip(*(np.split(each, heads, axis=1) for each in (q, k, v))):
#         scores = own_q @ own_k.T / np.sqrt(heads)
#         weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
#         weights = weights * is_token
#         mixed.append(weights @ own_v)
#     return np.mean(mixed, axis=0)
# ```
#
# <details><summary>Hint</summary>
#
# By which width are the products divided? Do the weights of a row add up to 1? And what does section 4 do with what the
# attention heads give?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def side_by_side(q, k, v, is_token, heads):
#     mixed = []
#     for own_q, own_k, own_v in zip(*(np.split(each, heads, axis=1) for each in (q, k, v))):
#         scores = own_q @ own_k.T / np.sqrt(own_q.shape[1])
#         scores = np.where(is_token, scores, -np.inf)
#         weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
#         mixed.append(weights @ own_v)
#     return np.concatenate(mixed, axis=1)
# ```
#
# </details>

# %%
from tlkit.exercises import check


def side_by_side(q, k, v, is_token, heads): ...  # your code


check("11.3", side_by_side)

# %% [markdown]
# **4. Whose labels?** (without a check). You want to read tweets. What would you rather have: 100 labelled
# editorials, or 20 labelled tweets? Write down your guess, then read both off `transfer` and `curves`. How many
# tweets are the 100 editorials worth? And the other way round, for editorials? Then let FreezeLab tune for you:
# `FreezeLab(load_text_pair("editorials", "tweets"), backbone)` (from `tlkit.widgets` and `tlkit.text`).
