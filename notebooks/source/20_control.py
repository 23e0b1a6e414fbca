# %% [markdown]
# # 20 · Control: does what balances one pole balance another?
#
# **Question: a network has learned to balance a pole on a cart. What is it worth on a longer pole, on a heavier one, and on
# a cart whose pushes are reversed?**
#
# Reading time: about 40 minutes; running it takes about half a minute. You need: notebook 05 (fine-tuning). Notebook 07
# explains intervals, and 08 negative transfer. It runs offline, and needs gymnasium: `pip install 'tlkit[control]'`.
#
# | word | meaning here |
# |---|---|
# | policy | what chooses the action in each state, here by two logits |
# | episode | from the start until the pole falls, the cart leaves the track, or 500 steps are over |
# | return | the sum of the rewards of an episode; here the number of its steps |
# | value | the return that is expected from a state on |
# | jump start | how much higher the return is before any training on the target |
#
# In supervised learning the examples are there before the training. In **reinforcement learning** the network makes its own:
# it acts, sees what happens, and learns from that. So a bad start costs twice, since a policy that drops the pole sees little else.

# %%
try:
    import gymnasium
except ModuleNotFoundError:
    raise ModuleNotFoundError("gymnasium must be installed: pip install 'tlkit[control]'.") from None
gymnasium.spec("CartPole-v1").max_episode_steps

# %%
import functools
from types import SimpleNamespace

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import tensorflow as tf

import tlkit
from tlkit.widgets import Predict

# %%
CARTS, STEPS, UPDATES = 32, 32, 64  # carts at once, steps of each per update, updates of a training
AFTER = [f"after_{number}" for number in range(0, UPDATES + 1, 4)]  # columns of the stored curves
EPISODES, STARTS = 100, 10_000  # episodes of an evaluation, and the seed of their starts
DISCOUNT, TRACE, CLIP = 0.99, 0.95, 0.2
EPOCHS, BATCH, VALUE_WEIGHT = 4, 256, 10.0
THRESHOLD = 475  # the mean return at which CartPole-v1 counts as solved
SEED = 0  # the one of the ten seeds that this notebook runs itself
SOURCE_RATE = 0.01  # chosen, as all rates below, on seeds that are none of the ten

# %% [markdown]
# ## 1. A cart, a pole, two pushes
#
# CartPole (Barto, Sutton and Anderson, 1983) is a cart on a track with a pole hinged to it. The state is four numbers: place
# and speed of the cart, angle and angular speed of the pole. Each 20 ms the policy chooses one of two pushes, to the left
# or to the right. Each step earns 1. The episode ends when the pole leans by more than 12 degrees, the cart is
# 2.4 m from the middle, or 500 steps are over.
#
# The physics is gymnasium's `CartPole-v1`, which moves many carts at once in NumPy. Its numbers are attributes, so another
# world is a few assignments. The attribute `length` is half of the pole's length, and two others must follow the masses.


# %%
def carts(count, **changes):
    """So many carts in one world, the source's unless changed."""
    envs = gymnasium.make_vec("CartPole-v1", num_envs=count, vectorization_mode="vector_entry_point").unwrapped
    for name, value in changes.items():
        setattr(envs, name, value)
    envs.total_mass = envs.masspole + envs.masscart  # gymnasium computes these two once, from its own masses
    envs.polemass_length = envs.masspole * envs.length
    return envs


# %%
WORLDS = {"source": {}, "long pole": {"length": 1.5}, "heavy pole": {"masspole": 1.0}, "reversed": {"force_mag": -10.0}}
assert carts(1).x_threshold == 2.4
pd.DataFrame({name: vars(carts(1, **changes)) for name, changes in WORLDS.items()}).loc[
    ["length", "masspole", "masscart", "force_mag"]
]

# %% [markdown]
# Lengths are in metres, masses in kilograms, the push to the right in newtons. In the world `reversed` the same action
# pushes the other way. Everything else is as before.

# %% [markdown]
# ## 2. A backbone with two heads
#
# Two hidden layers of 64 units make the backbone. The policy head turns its features into two logits; the value head says
# what return to expect. These are the course's words, on a network that has never seen an image.


# %%
def network(seed):
    """Two hidden layers as a backbone, a policy head and a value head."""
    state = x = keras.Input((4,), name="state")
    for stage in (1, 2):
        start = keras.initializers.Orthogonal(2**0.5, seed=10 * seed + stage)
        x = keras.layers.Dense(64, "tanh", kernel_initializer=start, name=f"hidden{stage}")(x)
    backbone = tlkit.wrap_backbone(keras.Model(state, x, name="cart"), stage_ends=("hidden1", "hidden2"))
    start = keras.initializers.GlorotUniform(seed=seed)
    value = keras.Sequential([keras.Input((64,)), keras.layers.Dense(1, kernel_initializer=start)], name="value")
    return backbone, tlkit.build_head(backbone, 2, seed=seed), value


# %%
def with_heads(core, policy, value):
    return keras.Model(core.inputs[0], [policy(core.outputs[0]), value(core.outputs[0])])


def fresh_weights(seed):
    backbone, policy, value = network(seed)
    return with_heads(backbone.model, policy, value).get_weights()


backbone, policy, value = network(SEED)
parts = {"hidden layers": backbone.model, "policy head": policy, "value head": value}
pd.Series({name: tlkit.count_weights(part).trainable for name, part in parts.items()})

# %% [markdown]
# A training asks the network some ten thousand times, for 32 or 100 states each. In so small a network the call of a Keras
# model takes longer than its arithmetic, so acting is written in NumPy. `stage` says which features it returns as well; section 9 uses them.


# %%
def answer(weights, states, stage=0):
    """Features behind `stage`, logits (n, 2), values (n,)."""
    k1, b1, k2, b2, k_policy, b_policy, k_value, b_value = weights
    first = np.tanh(states @ k1 + b1)
    second = np.tanh(first @ k2 + b2)
    return (states, first, second)[stage], second @ k_policy + b_policy, (second @ k_value + b_value)[:, 0]


states = carts(5).reset(seed=SEED)[0]
in_keras = with_heads(backbone.model, policy, value)(states)
assert np.allclose(answer(fresh_weights(SEED), states)[1], in_keras[0], atol=1e-5)
states.round(3)

# %% [markdown]
# Two ways to act are needed. To learn, a policy draws its action at random, by the probabilities of its logits. To be
# judged it is greedy: it takes the larger logit. `evaluate` is the mean return of 100 greedy episodes whose starts are
# always the same.


# %%
def evaluate(weights, envs):
    """Mean return of the greedy policy, 0 to 500."""
    states, _ = envs.reset(seed=STARTS)
    up, total = np.ones(envs.num_envs, bool), 0
    while up.any():
        states, _, fallen, over, _ = envs.step(answer(weights, states)[1].argmax(axis=1))
        total += int(up.sum())
        up &= ~(fallen | over)
    return total / envs.num_envs


# %% tags=["nbval-ignore-output"]
untrained = [evaluate(fresh_weights(seed), carts(EPISODES)) for seed in range(5)]
untrained

# %% [markdown]
# These are five untrained networks. Most push to one side for ever; now and then one is lucky.

# %% [markdown]
# ## 3. Learning by acting
#
# The method is proximal policy optimization, PPO (Schulman et al., 2017, arXiv:1707.06347). An update has three steps.
#
# **Step 1: drive.** 32 carts take 32 steps each. For each step it is kept what was seen, what was done, and with
# which probability.
#
# **Step 2: what was better than expected?** With value $V$ and reward $r$ the surprise of a step is
# $\delta_t = r_t + \gamma V(s_{t+1}) - V(s_t)$, where $V$ after a fall is 0. The advantage adds up the surprises that follow,
#
# $$A_t = \delta_t + \gamma \lambda \, \delta_{t+1} + (\gamma \lambda)^2 \, \delta_{t+2} + \dots$$
#
# until the episode ends (Schulman et al., 2016, arXiv:1506.02438). Here $\gamma$ is `DISCOUNT` and $\lambda$ is `TRACE`.


# %%
def advantages(rewards, values, fallen, over, counts):
    """How much better each action went than expected (steps, n); `values` is one step longer."""
    found, ahead = np.zeros_like(rewards), np.zeros(rewards.shape[1], np.float32)
    for t in reversed(range(len(rewards))):
        surprise = rewards[t] + DISCOUNT * values[t + 1] * ~fallen[t] - values[t]
        ahead = (surprise + DISCOUNT * TRACE * ahead * ~over[t]) * counts[t]
        found[t] = ahead
    return found


# %%
ones, never = np.ones((3, 1), np.float32), np.zeros((3, 1), bool)
by_hand = advantages(ones, np.zeros((4, 1)), never, never, ones)
assert np.allclose(by_hand[0], 1 + DISCOUNT * TRACE + (DISCOUNT * TRACE) ** 2)
by_hand.ravel()

# %% [markdown]
# Two details. A cart whose episode ended is set up anew by gymnasium in the step after, whatever the action; such a step
# does not count. And the reward is scaled by $1 - \gamma$, so that a pole that never falls is worth 1. Policy and value share
# their hidden layers, and errors of a value near 100 would leave little room there for the policy.


# %%
def begin(changes, seed):
    """Carts that go on from update to update; `waits`: over in the step before."""
    envs = carts(CARTS, **changes)
    states, _ = envs.reset(seed=seed)
    waits = np.zeros(CARTS, bool)
    return SimpleNamespace(envs=envs, states=states, waits=waits, episodes=0, rng=np.random.default_rng(seed))


begin({}, SEED).states.shape


# %%
def act(road, weights, stage):
    """One step of all carts, and what is to be kept of it."""
    features, logits, values = answer(weights, road.states, stage)
    right = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    actions = (road.rng.random(CARTS) < right).astype(np.int64)
    before = np.log(np.where(actions, right, 1 - right) + 1e-12).astype(np.float32)
    road.states, _, fallen, late, _ = road.envs.step(actions)
    over, counts = fallen | late, (~road.waits).astype(np.float32)
    road.waits, road.episodes = over, road.episodes + int(over.sum())
    return features, actions, before, values, fallen.copy(), over, counts


# %%
def drive(road, weights, stage):
    """What one update learns from: features, actions, log-probabilities, advantages, targets of the value, counts."""
    seen = zip(*(act(road, weights, stage) for _ in range(STEPS)), strict=True)
    features, actions, before, values, fallen, over, counts = (np.stack(part) for part in seen)
    values = np.concatenate([values, answer(weights, road.states)[2][None]])
    gains = advantages(np.full_like(counts, 1 - DISCOUNT), values, fallen, over, counts)
    targets, known = gains + values[:-1], gains[counts > 0]
    gains = (gains - known.mean()) / (known.std() + 1e-8)
    return [p.reshape(-1, *p.shape[2:]) for p in (features, actions, before, gains, targets, counts)]


# %%
rollout = drive(begin({}, SEED), fresh_weights(SEED), 0)
[part.shape for part in rollout]

# %% [markdown]
# **Step 3: make the better actions more likely, a little.** With $\rho$, the probability of an action now over its probability
# when it was taken, PPO maximises
#
# $$\min\bigl(\rho A, \; \mathrm{clip}(\rho, 1 - \epsilon, 1 + \epsilon) \, A\bigr)$$
#
# so that nothing is won by moving $\rho$ further than $\epsilon$, which is `CLIP`. The value head learns by squared error.


# %%
def loss_of(logits, values, actions, before, gains, targets, counts):
    log_all = tf.nn.log_softmax(logits)
    ratio = tf.exp(tf.gather(log_all, actions, batch_dims=1) - before)
    held = tf.clip_by_value(ratio, 1 - CLIP, 1 + CLIP)
    of_policy = -tf.minimum(ratio * gains, held * gains)
    of_value = VALUE_WEIGHT * (values[:, 0] - targets) ** 2
    return tf.reduce_sum(counts * (of_policy + of_value)) / tf.reduce_sum(counts)


# %% tags=["nbval-ignore-output"]
# Before any step the ratio is 1 and the advantages have mean 0: what is left is the error of the value head.
float(loss_of(*with_heads(backbone.model, policy, value)(rollout[0]), *rollout[1:]))

# %% [markdown]
# `updater` makes one compiled function of Adam's steps. `learner` puts it together, with the vocabulary of notebook 04: `freeze_to` sets what learns, `split_at` cuts there, and the
# part behind the cut is all that an update runs. It is compiled once per stage; each training sets its weights.


# %%
def updater(model):
    weights, optimizer = model.trainable_variables, model.optimizer

    @tf.function(jit_compile=True)
    def update(order, *rollout):
        for batch in order:
            x, *rest = (tf.gather(part, batch) for part in rollout)
            with tf.GradientTape() as tape:
                loss = loss_of(*model(x, training=True), *rest)
            optimizer.apply(tape.gradient(loss, weights), weights)

    return update


# %%
@functools.cache
def learner(stage):
    backbone, policy, value = network(0)
    tlkit.freeze_to(backbone, stage)
    tail = tlkit.split_at(backbone, stage)[1]
    model = with_heads(tail, policy, value)
    model.compile(optimizer=keras.optimizers.Adam(global_clipnorm=0.5))
    model.optimizer.build(model.trainable_variables)
    return with_heads(backbone.model, policy, value), model, updater(model)


pd.Series({f"stage {stage}": tlkit.count_weights(learner(stage)[1]).trainable for stage in (0, 1, 2)})


# %%
def train(weights, changes, stage, rate, seed, every=8):
    """Returns after 0, `every`, ... updates, and the weights at the end."""
    (whole, model, update), road, judged = learner(stage), begin(changes, seed), carts(EPISODES, **changes)
    whole.set_weights(weights)
    for variable in model.optimizer.variables:
        variable.assign(tf.zeros_like(variable))
    model.optimizer.learning_rate = rate
    returns = [evaluate(weights, judged)]
    for number in range(1, UPDATES + 1):
        one_update(whole, update, road, stage)
        returns += [evaluate(whole.get_weights(), judged)] if number % every == 0 else []
    return returns, whole.get_weights()


# %% tags=["nbval-ignore-output"]
def one_update(whole, update, road, stage):
    rollout = drive(road, whole.get_weights(), stage)
    orders = [road.rng.permutation(CARTS * STEPS).reshape(-1, BATCH) for _ in range(EPOCHS)]
    update(tf.constant(np.concatenate(orders)), *map(tf.constant, rollout))


source_returns, source = train(fresh_weights(1000 + SEED), WORLDS["source"], 0, SOURCE_RATE, 1000 + SEED)
assert max(source_returns) >= THRESHOLD
source_returns

# %% [markdown]
# These are mean returns after 0, 8, 16, … updates. One update reads 1,024 steps.

# %% [markdown]
# ## 4. The source
#
# The live run is one of ten, all of which are in the stored table. Each has a network and carts of its own.

# %%
table = tlkit.stored_table("control")
print(*(f"# {name}: {text}" for name, text in table.attrs.items()), sep="\n")
steps = CARTS * STEPS * np.array([int(name.removeprefix("after_")) for name in AFTER])
of_source = table[table["world"] == "source"][AFTER]
assert (of_source.max(axis=1) >= THRESHOLD).all()
of_source["after_64"].describe()[["count", "min", "mean", "max"]].round(1)

# %%
ax = plt.subplots(figsize=(6, 2.6), layout="constrained")[1]
ax.plot(steps, of_source.T, color="0.7", linewidth=0.8)
ax.plot(steps[::2], source_returns, "o-", markersize=4, color="C0", label="live, seed 0")
ax.axhline(THRESHOLD, color="0.25", linewidth=0.8, linestyle="--", label="threshold")
ax.set(xlabel="steps on the source", ylabel="mean return")
ax.legend(frameon=False, fontsize=8)
sns.despine()

# %% [markdown]
# Each grey line is a seed. On the way some lose what they had: the greedy policy of a network that is still learning may turn
# with one update. All ten reach 475, the mean return at which CartPole-v1 counts as solved.

# %% [markdown]
# ## 5. Other worlds, without training
#
# **Predict before you run:** what is the mean return of the ten sources' policies on the long pole, three times as long? And
# with the pushes reversed?

# %%
guess_long = Predict("The source's policy on the long pole: mean return, 0 to 500?", between=(0, 500))
guess_long

# %%
guess_heavy = Predict("On the pole of ten times the mass: mean return, 0 to 500?", between=(0, 500))
guess_heavy

# %%
zero = tlkit.stored_table("control_zero")
KEYS = ["length", "masspole", "masscart", "force_mag"]
by_world = zero.pivot_table(index=["seed"], columns=[*KEYS, "policy"], values="return")


def spread(values):
    return "{:.0f} ± {:.0f}".format(*tlkit.mean_interval(values))


in_words = pd.Series({key: spread(by_world[key]) for key in by_world}).rename_axis([*KEYS, "policy"])
pd.DataFrame({who: in_words.xs(who, level="policy") for who in ("source", "coin")})

# %% tags=["summary-1"]
HOME, LONG, HEAVY, REVERSED = (0.5, 0.1, 1, 10), (1.5, 0.1, 1, 10), (0.5, 1, 1, 10), (0.5, 0.1, 1, -10)
guess_long.compare(by_world[*LONG, "source"].mean())
guess_heavy.compare(by_world[*HEAVY, "source"].mean())
over_coin = {where: by_world[*where, "source"] - by_world[*where, "coin"] for where in (LONG, HEAVY, REVERSED)}
assert min(by_world[*HEAVY, "source"]) >= THRESHOLD
for where in (LONG, REVERSED):
    mean, half = tlkit.mean_interval(over_coin[where])
    assert mean + half < 0
{where: spread(values) for where, values in over_coin.items()}

# %% [markdown]
# On a pole of half the length, on one of ten times the mass, and on a cart three times as heavy the policy holds on for all or
# nearly all of the 500 steps, without any training there. On the long pole it does **worse than a coin**, and so it does
# with the pushes reversed. Distance in the numbers is no guide: ten times the mass changes nothing, three times the length
# everything.
#
# gymnasium draws episodes with pygame. Here matplotlib draws them, from the states.


# %%
def episode(weights, changes):
    """The states of one greedy episode, one row per step."""
    envs = carts(1, **changes)
    state, _ = envs.reset(seed=STARTS)
    seen, over = [state[0]], False
    while not over:
        state, _, fallen, late, _ = envs.step(answer(weights, state)[1].argmax(axis=1))
        seen, over = [*seen, state[0]], fallen[0] or late[0]
    return np.array(seen)


# %% tags=["nbval-ignore-output"]
at_home, on_long = (episode(source, WORLDS[world]) for world in ("source", "long pole"))
assert len(at_home) > 10 * len(on_long)
len(at_home) - 1, len(on_long) - 1


# %%
def draw(ax, state, half, number):
    """Track, cart and pole, to scale; the pole is twice `half` long."""
    place, _, angle, _ = state
    top = place + 2 * half * np.sin(angle), 0.25 + 2 * half * np.cos(angle)
    ax.plot([-2.4, 2.4], [0, 0], color="0.6", linewidth=1)
    ax.add_patch(plt.Rectangle((place - 0.3, 0), 0.6, 0.25, color="0.25"))
    ax.plot([place, top[0]], [0.25, top[1]], color="C1", linewidth=3)
    ax.set(xlim=(-2.5, 2.5), ylim=(-0.2, 3.4), aspect="equal")
    ax.set_title(f"{number / 50:.2f} s", fontsize=8)
    ax.axis("off")


# %%
def strip(*films, frames=7):
    """A row per film (states, half of the pole's length), at times that are spaced evenly."""
    axes = plt.subplots(len(films), frames, figsize=(9, 1.2 * len(films)), layout="constrained")[1]
    for row, (states, half) in zip(np.atleast_2d(axes), films, strict=True):
        for ax, number in zip(row, np.linspace(0, len(states) - 1, frames).round().astype(int), strict=True):
            draw(ax, states[number], half, number)


strip((at_home, 0.5), (on_long, 1.5))

# %% [markdown]
# The upper row shows the source's own pole, 1 m long: cart and pole hardly move in ten seconds. In the lower row the same policy
# has the long pole, 3 m. The pole leans to the right, the cart runs to the left, away from beneath it, and within a third of a
# second the episode is over.

# %% [markdown]
# ## 6. The longer pole
#
# Six ways to go on, each with 64 updates on the long pole (section 7 adds a seventh):
#
# | way | hidden layers start as | heads start as | what learns |
# |---|---|---|---|
# | scratch | random | random | everything |
# | fine-tuned | the source's | the source's | everything |
# | fine-tuned, new heads | the source's | random | everything |
# | first layer frozen | the source's | the source's | second layer and heads |
# | frozen, new heads | the source's | random | the heads |
# | random frozen | random | random | the heads |
#
# The rate was chosen for each of them by itself, scratch included, on three seeds that are none of the ten.
#
# **Predict before you run:** which one has the highest return, averaged over the whole training?

# %%
WAYS = ["scratch", "fine-tuned", "fine-tuned, new heads", "first layer frozen", "frozen, new heads", "random frozen"]
SOFT = "fine-tuned, softened head"
guess_way = Predict("The highest return on the long pole, averaged over the training:", choices=WAYS)
guess_way

# %% tags=["nbval-ignore-output"]
rate_of = table.groupby(["world", "method"])["rate"].first()
random = fresh_weights(SEED)
starts = {"scratch": random, "fine-tuned": source, "fine-tuned, new heads": source[:4] + random[4:]}
tuned = {way: train(start, WORLDS["long pole"], 0, rate_of["long pole", way], SEED) for way, start in starts.items()}
live = pd.DataFrame({way: returns for way, (returns, _) in tuned.items()}, steps[::2])
live.T.round()

# %% [markdown]
# That is seed 0, live. On the machine that made the stored table these curves are its rows; rounding on another one may part
# them, since a policy that differs a little soon sees other states.
#
# The ten seeds, from the table. Each mean has its 95 % interval.


# %%
def curves(ax, world, ways):
    """The mean over ten seeds and its interval, for each way."""
    colors = dict(zip([*WAYS, SOFT], sns.color_palette("colorblind", len(WAYS) + 1), strict=True))
    for way in ways:
        of = table[(table["world"] == world) & (table["method"] == way)][AFTER]
        mean, half = np.transpose([tlkit.mean_interval(of[name]) for name in AFTER])
        ax.plot(steps, mean, color=colors[way], label=way)
        ax.fill_between(steps, mean - half, mean + half, color=colors[way], alpha=0.15, linewidth=0)
    ax.set(xlabel="steps on the target", ylabel="mean return", ylim=(0, 510))
    ax.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)


# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for ax, ways in zip(axes, (WAYS[:3], ["scratch", *WAYS[3:]]), strict=True):
    curves(ax, "long pole", ways)
sns.despine()

# %% [markdown]
# Taylor and Stone (2009) ask of such a curve: where does it start (**jump start**), how long until it crosses a threshold, and
# where does it end? The mean of the whole curve stands for the reward in all.
#
# Where a run never reaches the threshold it counts with all of its 65,536 steps and all of its episodes. So the mean is that of
# "the time to the threshold, or to the end if that comes first", and a difference may be larger than it looks.


# %%
def measures(runs):
    """A row per run: return at the start, over all evaluations and at the last four; steps and episodes until 475."""
    returns = runs[AFTER].to_numpy()
    reached = returns >= THRESHOLD
    first = np.where(reached.any(axis=1), reached.argmax(axis=1), len(AFTER) - 1)
    updates = np.array([int(name.removeprefix("after_")) for name in AFTER])
    parts = {"start": returns[:, 0], "mean": returns.mean(axis=1), "final": returns[:, -4:].mean(axis=1)}
    parts |= {"steps": CARTS * STEPS * updates[first], "episodes": runs["episodes"].to_numpy()}
    return pd.DataFrame(parts | {"reached": reached.any(axis=1)}, runs.index)


# %%
KEYS_OF_A_RUN = ["world", "method", "seed"]
measured = pd.concat([table[KEYS_OF_A_RUN], measures(table)], axis=1).set_index(KEYS_OF_A_RUN).sort_index()
MEASURES = ["start", "mean", "final", "steps", "episodes"]
measured.loc["long pole"].groupby("method")["reached"].sum()[WAYS]


# %%
def overview(world, ways, against=None):
    """Means with intervals, or paired differences from one way."""
    of = measured.loc[world][MEASURES]
    base = 0 if against is None else of.loc[against]
    form = "{:,.0f} ± {:,.0f}" if against is None else "{:+,.0f} ± {:,.0f}"
    rows = {way: of.loc[way] - base for way in ways}
    return pd.DataFrame(
        {name: {way: form.format(*tlkit.mean_interval(row[name])) for way, row in rows.items()} for name in MEASURES}
    )


overview("long pole", WAYS)

# %% [markdown]
# Each column is a mean over ten seeds: the return at the `start`, over all evaluations (`mean`) and over the last four
# (`final`); the `steps` and the `episodes` until the greedy return was first 475. Now the same paired by seed, as
# differences from scratch:

# %%
overview("long pole", WAYS[1:], "scratch")

# %%
HOW = ["ahead", "no difference shown", "behind"]


def gain(world, way, over, name="mean"):
    """The paired differences of a measure over ten seeds."""
    return measured.loc[world, way][name] - measured.loc[world, over][name]


def verdict(differences):
    mean, half = tlkit.mean_interval(differences)
    return HOW[0] if mean - half > 0 else HOW[2] if mean + half < 0 else HOW[1]


# %%
def rises(differences):
    return verdict(differences) == HOW[0]


def falls(differences):
    return verdict(differences) == HOW[2]


# %% tags=["summary-2"]
assert rises(gain("long pole", "fine-tuned, new heads", "scratch"))
assert falls(gain("long pole", "fine-tuned, new heads", "scratch", "steps"))
assert rises(gain("long pole", "fine-tuned", "scratch", "steps"))
assert falls(gain("long pole", "fine-tuned", "fine-tuned, new heads"))
assert falls(gain("long pole", "random frozen", "scratch"))
guess_way.compare(measured.loc["long pole"]["mean"].groupby("method").mean()[WAYS].idxmax())
pd.Series({way: verdict(gain("long pole", way, "scratch")) for way in WAYS[1:]})

# %% [markdown]
# **The hidden layers help, and the source's own head hurts.** With new heads fine-tuning is ahead of scratch over the whole
# training and needs fewer steps to the threshold; a higher end is not shown. With the source's heads it needs *more* steps
# than scratch, and three of the ten seeds never reach the threshold. It is behind the same network with new heads.
#
# For frozen layers nothing is shown either way, and frozen features of the source are not shown to be better than random
# ones here. No way is shown to have a jump start on this pole.
#
# Look at `episodes`, too. A policy that drops the pole after 16 steps spends hundreds of episodes on few steps. Counted in
# episodes the new heads have no lead over scratch, counted in steps they have one: say which unit you count.

# %% [markdown]
# ## 7. A head that is sure
#
# Hidden layers that help with new heads, and not with their own: why? A policy learns only from what it tries. The table
# `control_zero` holds the **doubt** of each network: the probability that it gives to the push it likes less, averaged over
# the states of its greedy episodes. A coin's doubt is one half.

# %%
doubts = zero.pivot_table(index="seed", columns=[*KEYS, "policy"], values="doubt")
named = {"source": HOME, "long pole": LONG, "heavy pole": HEAVY, "reversed": REVERSED}


def percent(values):
    return "{:.1f} ± {:.1f} %".format(*tlkit.mean_interval(100 * values))


rows = {world: {who: percent(doubts[*key, who]) for who in ("source", "untrained")} for world, key in named.items()}
pd.DataFrame(rows).T

# %% [markdown]
# At home the source has some doubt left. Where it fails it is sure: on the long pole, and with the pushes reversed, it is wrong
# and hardly ever tries the other push.
#
# If that is the reason, then doubt should help, without any change to what the policy does when it is greedy. That can be
# tried: divide the weights of the policy head by 8. The larger logit stays the larger one, so the greedy policy is
# the same, and the softmax comes nearer to a coin. **Predict before you run:** is the softened head ahead of the source's own?

# %%
guess_soft = Predict(
    "Long pole, mean return over the training: a softened head, against the source's own?", choices=HOW
)
guess_soft


# %% tags=["summary-2"]
soft = gain("long pole", SOFT, "fine-tuned")
guess_soft.compare(verdict(soft))
assert rises(soft)
assert rises(gain("long pole", SOFT, "scratch"))
softened = {f"over {way}": spread(gain("long pole", SOFT, way)) for way in WAYS[:3]}
pd.Series(softened)

# %% [markdown]
# It is, and it is ahead of scratch as well: not shown to differ from new heads. So the head knew something that is worth keeping,
# and its certainty is what hurt. This was tried because of what the ten seeds had shown, so take it as a first answer, not as a
# test that was planned. Its rate was chosen as for all others.

# %% [markdown]
# ## 8. Pushes reversed: negative transfer
#
# Now the same cart, and each action pushes the other way. What the source's hidden layers have learned about poles is still
# true. Its head is wrong in every state.
#
# **Predict before you run:** which ways are ahead of scratch in the mean over the whole training?

# %%
guess_tuned = Predict("Pushes reversed, fine-tuned with the source's heads, against scratch?", choices=HOW)
guess_tuned

# %%
guess_new = Predict("Pushes reversed, fine-tuned with new heads, against scratch?", choices=HOW)
guess_new

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for ax, ways in zip(axes, (WAYS[:3], ["scratch", *WAYS[4:], SOFT]), strict=True):
    curves(ax, "reversed", ways)
sns.despine()

# %%
TURNED = [*WAYS[1:3], *WAYS[4:], SOFT]
overview("reversed", TURNED, "scratch")


# %% tags=["summary-3"]
guess_tuned.compare(verdict(gain("reversed", "fine-tuned", "scratch")))
guess_new.compare(verdict(gain("reversed", "fine-tuned, new heads", "scratch")))
assert falls(gain("reversed", "fine-tuned", "scratch"))
assert rises(gain("reversed", "fine-tuned, new heads", "scratch"))
assert rises(gain("reversed", "frozen, new heads", "scratch"))
assert rises(gain("reversed", "frozen, new heads", "random frozen"))
assert verdict(gain("reversed", SOFT, "scratch")) == HOW[1]
assert measured.loc["reversed", "frozen, new heads"]["start"].mean() > 250
pd.Series({way: verdict(gain("reversed", way, "scratch")) for way in TURNED})

# %% [markdown]
# **Negative transfer:** fine-tuned with its own heads the network is behind scratch, and one seed never reaches the threshold.
# Its policy starts below a coin and is sure. With new heads the same hidden layers are ahead of scratch, whether they learn or
# stay frozen, and ahead of frozen random ones. So a new head on frozen features does turn the sign round. It even has a jump
# start: on these features a random head balances more than half of the time limit, on average over ten seeds. Softened, the head is
# not shown to differ from scratch.
#
# A head that is wrong in *every* state is easily mended by hand: turn its sign. Minus the logits is the policy that pushes
# the other way, so this network must do on the reversed cart, to the step, what the source does at home.

# %% tags=["nbval-ignore-output", "summary-3"]
k_policy, b_policy = source[4:6]
turned = [*source[:4], -k_policy, -b_policy, *source[6:]]
of_turned = evaluate(turned, carts(EPISODES, **WORLDS["reversed"]))
assert of_turned == evaluate(source, carts(EPISODES))
of_turned

# %% [markdown]
# It takes knowing what changed. Nothing in the returns says that only the sign is wrong.

# %% [markdown]
# ## 9. What can be cached?
#
# In notebook 04 features of frozen layers were computed once, for all epochs. Here a state is hardly ever seen twice, so a
# store on disk would be of no use. One thing remains: acting runs the frozen layers anyway. `drive` keeps their features, and
# the four epochs of the update begin from there. It is the same learning:


# %%
def updated(from_stage):
    """The weights after one update with both hidden layers frozen: on kept features (2), or on the states (0)."""
    backbone, policy, value = network(0)
    tlkit.freeze_to(backbone, 2)
    whole = with_heads(backbone.model, policy, value)
    whole.set_weights(source[:4] + random[4:])
    model = with_heads(tlkit.split_at(backbone, from_stage)[1], policy, value)
    model.compile(optimizer=keras.optimizers.Adam(0.01, global_clipnorm=0.5))
    rollout = drive(begin(WORLDS["long pole"], SEED), whole.get_weights(), from_stage)
    updater(model)(tf.constant(np.arange(CARTS * STEPS).reshape(-1, BATCH)), *map(tf.constant, rollout))
    return whole.get_weights()


# %% tags=["nbval-ignore-output", "summary-1"]
on_features, on_states = updated(2), updated(0)
assert all(np.array_equal(*pair) for pair in zip(on_features[:4], source[:4], strict=True))
assert all(np.allclose(*pair, atol=1e-5) for pair in zip(on_features, on_states, strict=True))
moved = [float(np.abs(a - b).max()) for a, b in zip(on_states, [*source[:4], *random[4:]], strict=True)]
assert min(moved[4:]) > 0.001
pd.Series(moved, ["hidden1", "its bias", "hidden2", "its bias", "policy", "its bias", "value", "its bias"]).round(3)

# %% [markdown]
# The hidden layers have not moved by a bit, the heads have, and both ways end with the same weights, up to rounding.

# %% [markdown]
# ## 10. The same in plain Keras
#
# A base that is frozen and a new head need no more than `trainable` and a model that joins them, before the optimizer is made.

# %%
state = keras.Input((4,))
hidden1 = keras.layers.Dense(64, "tanh")
hidden2 = keras.layers.Dense(64, "tanh")
logits, judged = keras.layers.Dense(2), keras.layers.Dense(1)
features = hidden2(hidden1(state))
plain = keras.Model(state, [logits(features), judged(features)])
plain.set_weights(source[:4] + random[4:])
hidden1.trainable = hidden2.trainable = False
tlkit.count_weights(plain)

# %%
rollout = drive(begin(WORLDS["long pole"], SEED), plain.get_weights(), 0)
optimizer = keras.optimizers.Adam(0.01, global_clipnorm=0.5)
for batch in np.arange(CARTS * STEPS).reshape(-1, BATCH):
    with tf.GradientTape() as tape:
        loss = loss_of(*plain(rollout[0][batch]), *(part[batch] for part in rollout[1:]))
    optimizer.apply(tape.gradient(loss, plain.trainable_variables), plain.trainable_variables)
assert all(np.allclose(*pair, atol=1e-5) for pair in zip(plain.get_weights(), on_states, strict=True))
[weights.shape for weights in plain.non_trainable_variables]

# %% [markdown]
# The weights are those of the section before. There is no `fit`: reinforcement learning makes its examples between the steps,
# so the loop is written by hand.
#
# Your guesses beside the results, if you recorded any:

# %%
Predict.report()

# %% [markdown]
# ## Summary
#
# - A policy network is a backbone with heads: freeze, split and new heads work as on images, and features that were kept while
#   acting give the weights of learning with frozen layers. Without training the policy holds poles of other masses, and on
#   the long pole and with reversed pushes it does worse than a coin.
# - On the long pole the hidden layers help, and the head hurts. With new heads fine-tuning is ahead of scratch and needs fewer steps
#   to the threshold; with its own it needs more. The same head with less certainty is ahead of scratch.
# - With the pushes reversed fine-tuning is negative transfer, behind scratch. New heads on the same layers are ahead of it, frozen
#   or not.

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer and run the cell. It says whether the answer is right, and if not, what is missing. Hints
# and solutions are folded.

# %% [markdown]
# **1. Returns.** Write `returns(rewards, over, discount)`: for each step the discounted sum of its reward and of those that
# follow in the same episode. `rewards` and `over` are arrays with a number per step; `over` is true where an episode ends
# with that step, and the next step begins another one.
#
# <details><summary>Hint</summary>
#
# Go backwards, as `advantages` does. What is known of the steps ahead, and when does it not count?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def returns(rewards, over, discount):
#     found, ahead = np.zeros(len(rewards)), 0.0
#     for t in reversed(range(len(rewards))):
#         ahead = rewards[t] + discount * ahead * (not over[t])
#         found[t] = ahead
#     return found
# ```
#
# </details>

# %%
from tlkit.exercises import check


def returns(rewards, over, discount): ...  # your code


check("20.1", returns)

# %% [markdown]
# **2. Steps to the threshold.** `curve` holds the mean return at each evaluation of a training, and `steps` the steps on the
# target until then. Write `steps_to(curve, steps, threshold)`: the steps at the first evaluation that reaches the threshold.
# A training that never reaches it counts with all its steps, as in this notebook.
#
# <details><summary>Hint</summary>
#
# `np.argmax` of an array without a true value is 0. What would such a training then seem to need?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def steps_to(curve, steps, threshold):
#     reached = [step for value, step in zip(curve, steps) if value >= threshold]
#     return reached[0] if reached else steps[-1]
# ```
#
# </details>

# %%
from tlkit.exercises import check


def steps_to(curve, steps, threshold): ...  # your code


check("20.2", steps_to)

# %% [markdown]
# **3. Reversed without training.** A policy's head has a `kernel` of shape (features, 2) and a `bias` of shape (2,). Write
# `reversed_head(kernel, bias)`: the kernel and the bias of a head that gives each push the probability that the old one
# gave to the other. On a cart with reversed pushes it does at once what the source policy does on its own cart.
#
# <details><summary>Hint</summary>
#
# Each column of the kernel belongs to one push, and so does each number of the bias.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def reversed_head(kernel, bias):
#     return kernel[:, ::-1], bias[::-1]
# ```
#
# </details>

# %%
from tlkit.exercises import check


def reversed_head(kernel, bias): ...  # your code


check("20.3", reversed_head)

# %% [markdown]
# **4. On your own** (without a check). Put the head of exercise 3 on the source policy of section 4, and drive the reversed
# cart with it. Predict first: what is its return, and what does that say of the hidden layers?
