# %% [markdown]
# # 18 · Federated transfer: many clients, one network
#
# **Question: four clients may not show each other their examples. How near do they come to a network that has seen all of
# them, what must they send for it, and what does that give away?**
#
# Reading time: about 29 minutes; running it takes about half a minute. You need: notebooks 03 (base and head) and 04
# (BatchNorm). It runs offline, and without Flower: the rounds are written out here. Section 6 shows how
# [Flower](https://flower.ai) runs them between processes and machines.
#
# | word | meaning here |
# |---|---|
# | client | whoever holds examples and shows them to nobody: a hospital, a phone |
# | server | gets weights from the clients, and sends their mean |
# | round | all clients train from the same weights and send theirs back; the server takes the mean |
# | centralised | one network trained on all examples in one place: what the clients may not do |
# | alone | each client trains on its own examples |

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

import tlkit

# %%
from tlkit.federated import HANDS, Member, Plan, average, deal, hand, payload_bytes, refusal
from tlkit.widgets import Predict

SEED = 0
PER_CLASS, N_TEST = 20, 200  # labels per class of each client, and test images of each hand in this notebook
ROUNDS = 20
DRAWS = 10

# %% [markdown]
# ## 1. Four hands
#
# Each client has the ten digits in a hand of its own: printed ones, two kinds of handwriting, and handwriting blended into
# photographs (MNIST-M, made grey). No two clients hold the same picture.

# %%
clients = {name: hand(name).train.take(PER_CLASS, seed=SEED) for name in HANDS}
ax = plt.subplots(figsize=(7, 2.8), layout="constrained")[1]
ax.imshow(np.concatenate([np.concatenate(list(few.x[:10, :, :, 0]), axis=1) for few in clients.values()]), cmap="gray")
ax.set_yticks([14 + 28 * row for row in range(4)], HANDS)
ax.set_xticks([])
sns.despine(left=True, bottom=True)

# %% [markdown]
# A `Member` is a network and the plan that all agree on. Here the backbone is frozen and only the head learns, so each
# client runs its pictures through the backbone once (notebook 04).

# %%
member = Member(Plan(share="head"), n_classes=10)
tests = {name: member.prepare(hand(name).test[:N_TEST]) for name in HANDS}
clients = {name: member.prepare(few) for name, few in clients.items()}
start = member.shared()
{"examples": {name: len(few) for name, few in clients.items()}, "bytes to send": payload_bytes(start)}

# %% [markdown]
# ## 2. The mean, by hand
#
# FedAvg (McMahan et al., 2017, arXiv:1602.05629) is short. Each client trains for a while; the server takes the mean of
# their weights, in which a client counts by its number of examples.


# %%
def mean_of(weights, examples):
    total = sum(examples)
    return {name: sum(n / total * each[name] for each, n in zip(weights, examples, strict=True)) for name in weights[0]}


def one_round(weights, number):
    trained = [member.train(weights, few, client=i, round_number=number) for i, few in enumerate(clients.values())]
    return mean_of(trained, [len(few) for few in clients.values()])


# %% [markdown]
# Why should a mean of weights be any good? Take one step of plain gradient descent per client, on all its examples. The
# gradient of a mean loss is the mean of the gradients, so the mean of the clients' weights *is* the step that one network
# would take on all examples together. With more steps between the means this no longer holds: each client runs towards its
# own minimum.
#
# **Predict before you run:** the rounds start with a random head. After 20 rounds, is the mean accuracy over the four hands
# above that of heads that each client trained alone, with as many passes over its own examples?

# %%
ORDERS = ["federated is ahead", "alone is ahead"]
guess_order = Predict("The mean accuracy over the four hands, after 20 rounds or 20 passes:", choices=ORDERS)
guess_order

# %%
RATE = 3e-3
member = Member(Plan(share="head", learning_rate=RATE), n_classes=10)
weights, found = start, []
for number in range(1, ROUNDS + 1):
    weights = one_round(weights, number)
    member.receive(weights)
    found.append({name: member.accuracy(test) for name, test in tests.items()})
rounds = pd.DataFrame(found, index=range(1, ROUNDS + 1))

# %% tags=["nbval-ignore-output"]
alone = {}
for i, (name, few) in enumerate(clients.items()):
    member.train(start, few, client=i, round_number=1, epochs=ROUNDS)
    alone[name] = member.accuracy(tests[name])
live = pd.DataFrame({"federated": rounds.loc[ROUNDS], "alone": pd.Series(alone)})
live.loc["mean"] = live.mean()
live.round(3)

# %%
guess_order.compare(ORDERS[int(live.loc["mean", "federated"] < live.loc["mean", "alone"])])

# %%
ax = plt.subplots(figsize=(5.2, 2.6), layout="constrained")[1]
sns.lineplot(rounds, ax=ax, dashes=False, palette="colorblind")
ax.set(xlabel="round", ylabel="accuracy", ylim=(0, 1))
ax.legend(frameon=False, ncols=2)
sns.despine()

# %% [markdown]
# ### The same in plain Keras
#
# A client needs `fit`, `set_weights` and `get_weights`. Here each takes one step of plain descent on all its examples in a
# round, and beside it one network takes one step on everything.


# %%
def plain_head():
    head = keras.Sequential([keras.Input((256,)), keras.layers.Dense(10, kernel_initializer="zeros")])
    head.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return head


plain, one = plain_head(), plain_head()
everything = [np.concatenate(part) for part in zip(*[(few.x, few.y) for few in clients.values()], strict=True)]

# %%
shared = plain.get_weights()
for _ in range(3):
    replies = []
    for few in clients.values():
        plain.set_weights(shared)
        plain.fit(few.x, few.y, batch_size=len(few), verbose=0)
        replies.append(plain.get_weights())
    shared = [np.mean(each, axis=0) for each in zip(*replies, strict=True)]  # all have as many examples
    one.fit(*everything, batch_size=len(everything[1]), verbose=0)
np.allclose(shared[0], one.get_weights()[0], atol=1e-6)

# %% tags=["summary-1"]
assert np.allclose(shared[0], one.get_weights()[0], atol=1e-6)
assert np.abs(shared[0]).max() > 1e-3
ours = average([(dict(enumerate(each)), 200) for each in replies])
assert np.allclose(ours[0], shared[0], atol=1e-6)

# %% [markdown]
# ## 3. Ten draws
#
# One draw of labels and one start say little. The stored table has ten draws, with 500 test images of each hand. All three
# ways chose their learning rate by themselves, on other training images of a draw that is none of the ten; "centralised" and
# "alone" make as many passes as there are rounds. How it was made:

# %%
table = tlkit.stored_table("federated")
print(*(f"# {name}: {text}" for name, text in table.attrs.items()), sep="\n")


def final(share, scenario, start, method):
    """The accuracy after the last round, a row per draw, a column per client."""
    rows = table.query("share == @share and scenario == @scenario and start == @start and method == @method")
    rows = rows[rows["round"] == rows["round"].max()]
    return rows.pivot_table(index="draw", columns="client", values="accuracy")


# %%
def shown(values):
    mean, half = tlkit.mean_interval(100 * np.asarray(values))
    return f"{mean:.1f} ± {half:.1f}"


def rises(values):
    mean, half = tlkit.mean_interval(values)
    return mean - half > 0


# %%
METHODS = ["alone", "federated", "centralised"]
hands = {way: final("head", "hands", "pretrained", way)[list(HANDS)] for way in METHODS}
pd.DataFrame({way: {**each.apply(shown), "mean": shown(each.mean(axis=1))} for way, each in hands.items()})

# %% [markdown]
# **One head for four hands has its price.** Over ten draws the heads that were trained alone are ahead of the federated one,
# and nearly all of it is the blended hand: what the other three have in common pulls the mean away from it. The centralised
# head pays a price, too: it is not ahead of the four alone. A client with 200 labels of its own hand gains nothing here by
# joining; what the rounds make is one head that reads all four hands, made by clients that showed nothing.
#
# How much of this is the backbone? The same with the features of a network that was never trained:

# %%
untrained = {way: final("head", "hands", "random", way).mean(axis=1) for way in METHODS}
pretrained = {way: each.mean(axis=1) for way, each in hands.items()}
pd.DataFrame({"pretrained": pd.Series(pretrained).map(shown), "random features": pd.Series(untrained).map(shown)})

# %% tags=["summary-1"]
assert rises(pretrained["alone"] - pretrained["federated"])
assert rises(hands["alone"]["mnist-m"] - hands["federated"]["mnist-m"] - 0.1)
assert not rises(pretrained["centralised"] - pretrained["alone"])
assert all(hands["federated"][name].mean() > 0.94 for name in HANDS[:3])
assert rises(pretrained["federated"] - untrained["federated"] - 0.2)

# %% [markdown]
# ## 4. Clients that hold different classes
#
# Four hands are one way to differ. Another is that clients hold different *labels*: a hospital for children sees other
# diseases. Here 200 labelled digits of mnist are dealt out. For each class, shares are drawn from a Dirichlet distribution; the
# smaller its concentration, the more uneven they are (Hsu et al., 2019, arXiv:1909.06335).

# %%
CONCENTRATIONS = (0.1, 1.0, 10.0)
pool = hand("mnist").train.take(PER_CLASS, seed=SEED)
figure, axes = plt.subplots(1, 3, figsize=(8, 2.2), layout="constrained", sharey=True)
for ax, concentration in zip(axes, CONCENTRATIONS, strict=True):
    counts = [np.bincount(part.y, minlength=10) for part in deal(pool, 4, concentration, seed=SEED)]
    sns.heatmap(counts, ax=ax, annot=True, fmt="d", cbar=False, cmap="Blues", vmin=0, vmax=PER_CLASS)
    ax.set(title=f"concentration {concentration:g}", xlabel="digit")
axes[0].set_ylabel("client")

# %% [markdown]
# **Predict before you run:** with a concentration of 0.1 a client knows few of the ten digits. How far below the centralised
# head does the federated head on pretrained features end, in points of accuracy?

# %%
guess_gap = Predict("Centralised minus federated, points of accuracy, concentration 0.1:", between=(0, 60))
guess_gap


# %%
def gap(share, scenario, start):
    """Centralised minus federated, in points, per draw."""
    both = [final(share, scenario, start, way)["all"] for way in ("centralised", "federated")]
    return 100 * (both[0] - both[1])


def scores(share, start, method, scenario):
    found = final(share, scenario, start, method)
    return shown(found.mean(axis=1))


# %%
cells = [("head", start, way) for start in ("pretrained", "random") for way in METHODS]
uneven = [f"dirichlet {c:g}" for c in CONCENTRATIONS]
pd.DataFrame({scenario: {cell: scores(*cell, scenario) for cell in cells} for scenario in uneven})

# %%
guess_gap.compare(gap("head", "dirichlet 0.1", "pretrained").mean())

# %% [markdown]
# A client that has seen two or three digits cannot name the others: alone it is far below what the rounds give. Here
# joining pays.
#
# Now look at the gap to the centralised head, in points, for both kinds of features:

# %%
gaps = {(start, scenario): gap("head", scenario, start) for start in ("pretrained", "random") for scenario in uneven}
pd.DataFrame(
    {scenario: {start: shown(gaps[start, scenario] / 100) for start in ("pretrained", "random")} for scenario in uneven}
)

# %% tags=["summary-2"]
for scenario in uneven[1:]:
    mean, half = tlkit.mean_interval(gaps["pretrained", scenario])
    assert mean + half < 3  # points
assert rises(gaps["pretrained", uneven[0]] - 3)
for scenario in uneven:
    assert rises(gaps["random", scenario] - 10)
    assert rises(gaps["random", scenario] - gaps["pretrained", scenario])
of_own = final("head", uneven[0], "pretrained", "alone").mean(axis=1)
assert rises(final("head", uneven[0], "pretrained", "federated")["all"] - of_own - 0.2)

# %% [markdown]
# **Good features make the mean work.** With concentrations of one and ten hardly a gap is left on pretrained features; with a
# tenth a good part of it stays. On features of an untrained network the gap is wide in all three. Some of that is the number
# of steps: a client with 50 examples takes two per round, and the centralised head takes seven per pass.

# %% [markdown]
# ## 5. Accuracy for bytes
#
# What travels in a round is the weights, to each client and back. The head of `resnet_printed` has 2,570 of them; all its
# weights are 1,225,514. Low-rank ways around the layers (LoRA, notebook 12) are between.

# %%
sizes = {share: payload_bytes(Member(Plan(share=share), 10).shared()) for share in ("head", "adapters", "all")}
pd.DataFrame({"bytes, one way": sizes, "weights": {name: size // 4 for name, size in sizes.items()},
              "of all": {name: f"1 / {sizes['all'] / size:.0f}" for name, size in sizes.items()}})  # fmt: skip

# %%
federated = table.query("share == 'head' and start == 'pretrained' and method == 'federated' and client == 'all'")
curves = federated.assign(megabytes=federated["round"] * 2 * 4 * sizes["head"] / 1e6)
ax = plt.subplots(figsize=(5.2, 2.8), layout="constrained")[1]
sns.lineplot(curves, x="megabytes", y="accuracy", hue="scenario", ax=ax, palette="colorblind", marker="o")
ax.axvline(2 * 4 * sizes["all"] / 1e6, color="0.25", linestyle="--")
ax.text(2 * 4 * sizes["all"] / 1e6 * 0.85, 0.1, "one round of all weights", rotation=90, fontsize=8)
ax.set(xscale="log", xlabel="megabytes sent, four clients, both ways", ylim=(0, 1))
ax.legend(frameon=False, loc="lower center")
sns.despine()

# %% [markdown]
# Each curve is the mean of ten draws with its interval; each mark is one of the rounds of the table, the last one the
# twentieth. How many rounds does it take to come within five in a hundred of the centralised head?


# %%
def rounds_needed(scenario, share_of=0.95):
    """The first round of the table at which a draw has that share of its centralised accuracy; NaN where none has."""
    goal = share_of * final("head", scenario, "pretrained", "centralised")["all"]
    by_round = federated.query("scenario == @scenario").pivot_table(index="draw", columns="round", values="accuracy")
    reached = by_round.ge(goal, axis=0)
    return reached.idxmax(axis=1).where(reached.any(axis=1))


needed = pd.DataFrame({scenario: rounds_needed(scenario) for scenario in uneven})
pd.DataFrame({"median round": needed.median(), "draws that came so far": needed.notna().sum()})

# %% tags=["summary-2"]
assert sizes["head"] == 4 * 2570
assert 470 < sizes["all"] / sizes["head"] < 485
assert 2 * 4 * sizes["all"] > 20 * 2 * 4 * sizes["head"]
assert needed[uneven[2]].notna().all()
assert needed[uneven[2]].median() < 5

# %% [markdown]
# Twenty rounds of the head send less than one round of all weights.
#
# ### All weights, and BatchNorm kept local
#
# A round of all weights of `resnet_printed` takes long here. So a narrow network of its kind stands in, with 8 to 64 channels,
# pretrained on printed digits; ten rounds, ten draws. First the uneven classes, with a concentration of 0.1. From random weights
# BatchNorm must learn, so it learns and is averaged in both.

# %%
table = pd.concat([table, tlkit.stored_table("federated_all")])
ways = ("centralised", "federated")
both = {(start, way): final("all", uneven[0], start, way)["all"] for start in ("pretrained", "random") for way in ways}
all_gaps = {start: both[start, "centralised"] - both[start, "federated"] for start in ("pretrained", "random")}
rows = {start: {way: shown(both[start, way]) for way in ways} for start in all_gaps}
pd.DataFrame({start: {**row, "gap": shown(all_gaps[start])} for start, row in rows.items()})

# %% tags=["summary-2"]
assert rises(all_gaps["random"] - all_gaps["pretrained"])
assert rises(all_gaps["pretrained"] - 0.1)
assert rises(both["pretrained", "federated"] - both["random", "federated"] - 0.2)

# %% [markdown]
# With all weights, too, the gap is smaller from pretrained weights than from random ones, and far from closed: it stays above ten
# points. Four networks that each know a few digits drift apart in ten rounds, BatchNorm included. The frozen features of
# section 4, from a wider network, did better with the smallest part of the bytes.
#
#
# Nguyen et al. (2022, arXiv:2206.11488) report that starting from pretrained weights closes much of the gap that unlike clients
# open, on larger networks and data.
#
# Now the four hands, with five labels per class. BatchNorm's moving statistics belong to a domain (notebook 15), and the mean of
# four domains' statistics is nobody's. FedBN (Li et al., 2021, arXiv:2102.07623) leaves BatchNorm with the clients.

# %%
norms = {way: final(f"all, BatchNorm {way}", "hands", "pretrained", "federated") for way in ("held", "shared", "local")}
pd.DataFrame({way: {**each[list(HANDS)].apply(shown), "mean": shown(each.mean(axis=1))} for way, each in norms.items()})

# %% tags=["summary-2"]
assert rises(norms["local"].mean(axis=1) - norms["shared"].mean(axis=1))
assert rises(norms["local"]["mnist-m"] - norms["shared"]["mnist-m"])
assert rises(norms["shared"].mean(axis=1) - norms["held"].mean(axis=1))

# %% [markdown]
# Kept local, BatchNorm gains about two points on its mean, and more on the blended hand; held as it was pretrained it is far
# behind after ten rounds. One caution for all of this part: nearly every way chose the largest of the three rates that were
# tried. With larger ones, or more rounds, all might go further, and the distances might change.

# %% [markdown]
# ## 6. The same rounds by Flower
#
# Between machines somebody must wait for late clients, go on without dead ones, encrypt, and know who is who. That is
# Flower's work. `tlkit federate` starts its server (a SuperLink) and four clients (SuperNodes) as processes, with the very
# `Member` of this notebook in each:
#
# ```text
# $ tlkit federate --clients 4 --rounds 3
# 4 clients, 3 rounds, Flower's telemetry is off; its log: tlkit-federated/flower.log
# after round 0: 0 printed 0.045  1 mnist 0.095  2 optdigits 0.070  3 mnist-m 0.115; 42,144 bytes to the clients, 42,144 back
# after round 1: 0 printed 0.480  1 mnist 0.495  2 optdigits 0.340  3 mnist-m 0.110; 42,144 bytes to the clients, 42,144 back
# after round 2: 0 printed 0.825  1 mnist 0.840  2 optdigits 0.710  3 mnist-m 0.125; 42,144 bytes to the clients, 42,144 back
# after round 3: 0 printed 0.985  1 mnist 0.945  2 optdigits 0.955  3 mnist-m 0.170; 42,144 bytes to the clients, 0 back
# weights: tlkit-federated/weights.npz
# ```
#
# That was run on two cores on 2026-11-29. Each number is a client's accuracy on 200 test images. `docs/federated.md` in tlkit's repository says how
# to install Flower beside tlkit, and how to run it between machines.
#
# A test holds that Flower's rounds end in the weights of the rounds by hand, bit for bit in one process.
#
# The server cannot look at the examples, but it can look at the updates. An update that is no number, has another shape, or
# moves the weights very far is left out of the mean, with a line that says why:

# %%
first = next(iter(start))
bad = {"honest": weights, "not a number": {**start, first: start[first] * np.nan}}
bad |= {"another shape": {**start, first: start[first][1:]}, "huge": {**start, first: start[first] + 1000}}
for name, update in bad.items():
    print(f"{name}: {refusal(start, update, 200, max_norm=100) or 'taken'}")

# %% tags=["summary-3"]
assert refusal(start, weights, 200, 100) == ""
assert all(refusal(start, update, 200, 100) for name, update in bad.items() if name != "honest")

# %% [markdown]
# This refuses accidents and crude attacks. A client that lies within the norm, by wrong labels for one, is not found so.

# %% [markdown]
# ## 7. What weights give away
#
# No example leaves a client. That is not the same as privacy: **gradients leak.** Take a softmax regression on pixels, and one
# step on one picture. The gradient of the kernel is the picture times the error, class by class, and the gradient of the bias
# is the error. Divide, and you have the picture (Zhu et al., 2019, arXiv:1906.08935, recover pictures from deep networks, too).
#
# **Predict before you look:** the client sends its weights after one step on one picture. How much of the picture does the
# server see?

# %%
guess_leak = Predict("Correlation of the picture that the server computes with the client's:", between=(0, 1))
guess_leak

# %%
secret = hand("mnist").train[7:8]
pixels = secret.x.reshape(1, -1) / np.float32(255)
softmax = keras.Sequential([keras.Input((784,)), keras.layers.Dense(10)])
softmax.compile(keras.optimizers.SGD(1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
sent = softmax.get_weights()
softmax.fit(pixels, secret.y, verbose=0)
kernel, bias = (after - before for after, before in zip(softmax.get_weights(), sent, strict=True))
seen = kernel[:, secret.y[0]] / bias[secret.y[0]]  # the right class has the largest error; the server tries all ten
leak = float(np.corrcoef(seen, pixels[0])[0, 1])

# %% tags=["nbval-ignore-output"]
batch = hand("mnist").train[7:15]
softmax.set_weights(sent)
softmax.fit(batch.x.reshape(8, -1) / np.float32(255), batch.y, batch_size=8, verbose=0)
kernel, bias = (after - before for after, before in zip(softmax.get_weights(), sent, strict=True))
mixed = kernel[:, secret.y[0]] / bias[secret.y[0]]
figure, axes = plt.subplots(1, 3, figsize=(5, 1.9), layout="constrained")
for ax, (name, picture) in zip(
    axes, {"client's": pixels, "from its update": seen, "from eight": mixed}.items(), strict=True
):
    ax.imshow(picture.reshape(28, 28), cmap="gray", vmin=0, vmax=1)
    ax.set_title(name, fontsize=9)
    ax.axis("off")

# %% tags=["summary-3"]
assert leak > 0.999
guess_leak.compare(leak)

# %% [markdown]
# All of it. The third picture is from a step on eight pictures: a mixture, in which the digit of that class stands out. More
# pictures, more steps and a frozen backbone blur it further, and none of them is a proof. From the update of a head on frozen
# features the same division gives the *features* of the picture, and whoever has the backbone can look for a picture with
# such features.
#
# A proof is **differential privacy**: each client's update is cut to a norm, and noise is added to the mean, so that no single
# client can be told from the result (McMahan et al., 2018, arXiv:1710.06963). The noise that each weight gets is the
# multiplier times the norm, divided by the number of clients. So the price depends on how many clients there are. Flower has
# this as a wrapper around the server's strategy (`tlkit federate --noise 1 --clip 1`); a test holds that its noise has that
# size. Here are the three lines by hand, for heads that take one step of plain descent per round.


# %%
def private_mean(updates, clip, multiplier, rng):
    norms = np.linalg.norm(updates, axis=(1, 2), keepdims=True)
    cut = updates * np.minimum(1, clip / norms)
    return cut.mean(axis=0) + rng.normal(0, multiplier * clip / len(updates), updates.shape[1:])


def step(kernel, x, y):
    z = x @ kernel
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True) - np.eye(10)[y]
    return -x.T @ p / len(y)  # (257, 10)


# %%
def with_one(split):
    return np.column_stack([split.x, np.ones(len(split))])


# %%
mnist = hand("mnist")
features, test = member.prepare(mnist.train[::2]), member.prepare(mnist.test[N_TEST : 2 * N_TEST])


def privately(n_clients, multiplier, draw):
    rng = np.random.default_rng(draw)
    parts = deal(features.take(40, seed=draw), n_clients, 10.0, seed=draw)
    kernel = np.zeros((257, 10))
    for _ in range(20):
        updates = np.stack([2 * step(kernel, with_one(part), part.y) for part in parts])
        kernel = kernel + private_mean(updates, 1.0, multiplier, rng)
    return float(np.mean((with_one(test) @ kernel).argmax(axis=1) == test.y))


# %% tags=["nbval-ignore-output"]
MULTIPLIERS, N_CLIENTS = (0.0, 0.1, 1.0), (4, 40)
private = {(n, m): [privately(n, m, draw) for draw in range(DRAWS)] for n in N_CLIENTS for m in MULTIPLIERS}
pd.DataFrame({f"{n} clients": {m: shown(private[n, m]) for m in MULTIPLIERS} for n in N_CLIENTS}).rename_axis("noise")

# %% tags=["summary-3"]
loss = {n: np.subtract(private[n, 0.0], private[n, 1.0]) for n in N_CLIENTS}
assert rises(loss[4])
assert rises(loss[4] - loss[40])
assert not rises(np.abs(np.subtract(private[40, 0.0], private[40, 0.1])) - 0.05)

# %% [markdown]
# At the same multiplier forty clients lose less than four: their mean has a tenth of the noise. The cut alone costs nothing
# that is seen here, and a multiplier of a tenth costs forty clients little.
#
# What a number of noise means is a budget, epsilon: how much more likely one result is with a client than without. For
# rounds of Gaussian noise, with a chance of `delta` that the bound fails (Bun & Steinke, 2016, arXiv:1605.02065):


# %%
def epsilon(multiplier, rounds, delta=1e-5):
    rho = rounds / (2 * multiplier**2)
    return rho + 2 * np.sqrt(rho * np.log(1 / delta))


pd.Series({m: epsilon(m, 20) for m in (0.1, 1.0, 10.0)}, name="epsilon").round(1)

# %% [markdown]
# Below about one it protects, and above ten it says little. With 20 rounds a multiplier of one is still far above. So for a
# handful of clients differential privacy and accuracy do not go together; with thousands they do, since the noise is divided
# by their number. A hidden sum (secure aggregation, which Flower has, too) hides the single update from the server; it does
# not hide what the mean gives away.
#
# Your guesses beside the results, if you recorded any:

# %%
Predict.report()

# %% [markdown]
# ## Summary
#
# - The mean of one step per client is the step on all examples. Over ten draws on four hands one federated head on pretrained
#   features reads all of them, but heads trained alone are ahead, most on the blended hand; and random features are far behind.
# - Where clients hold different classes, federated training is far ahead of training alone. On pretrained features the gap to
#   centralised training is below three points for concentrations of one and ten, and above that for a tenth; on random features
#   it is above ten points for each. A head sends about 480 times fewer bytes than all weights. With all weights of a narrow
#   network pretraining narrows the gap, too, and BatchNorm kept local is ahead of its mean.
# - One step on one picture gives the picture away, and updates that are no numbers are refused in a line. Differential
#   privacy costs four clients more accuracy than forty, at the same noise multiplier.

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer and run the cell. It says whether the answer is right, and if not, what is missing. Hints
# and solutions are folded.

# %% [markdown]
# **1. The mean.** `weights` is a list with one array per client, `examples` a list of their numbers of examples. Write
# `mean(weights, examples)`: the array that the server sends next.
#
# <details><summary>Hint</summary>
#
# A client with twice the examples counts twice. The factors sum to one.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def mean(weights, examples):
#     total = sum(examples)
#     return sum(n / total * each for each, n in zip(weights, examples))
# ```
#
# </details>

# %%
from tlkit.exercises import check


def mean(weights, examples): ...  # your code


check("18.1", mean)

# %% [markdown]
# **2. Who may join the mean?** Write `allowed(sent, got, most)`: whether the array `got` may be averaged, which came back for
# `sent`. It must have the same shape, hold only finite numbers, and have changed by a Euclidean norm of `most` at most.
#
# <details><summary>Hint</summary>
#
# NaN is not above anything: a comparison alone lets it through or not by luck. NumPy stretches shapes that differ.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def allowed(sent, got, most):
#     if sent.shape != got.shape or not np.isfinite(got).all():
#         return False
#     return bool(np.linalg.norm(got - sent) <= most)
# ```
#
# </details>

# %%
from tlkit.exercises import check


def allowed(sent, got, most): ...  # your code


check("18.2", allowed)

# %% [markdown]
# **3. What the server sees.** A client took one step of plain descent on one example, with a softmax regression. Write
# `leaked(kernel_gradient, bias_gradient)`: its features `(n,)`, from the gradients `(n, classes)` and `(classes,)`.
#
# <details><summary>Hint</summary>
#
# Entry `i, k` of the kernel's gradient is feature `i` times the error of class `k`. Where do you find that error alone?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def leaked(kernel_gradient, bias_gradient):
#     k = abs(bias_gradient).argmax()
#     return kernel_gradient[:, k] / bias_gradient[k]
# ```
#
# </details>

# %%
from tlkit.exercises import check


def leaked(kernel_gradient, bias_gradient): ...  # your code


check("18.3", leaked)

# %% [markdown]
# **4. A second look** (without a check). Set `learning_rate` in section 2 to 0.1, and then `epochs=20` with two rounds.
# Predict first: which of the two runs away from the mean?
