"""Measure what notebook 20 has no time for: ten seeds of transfer between carts with poles.

    python tools/control_tables.py                  # the three tables, into tlkit/tables
    python tools/control_tables.py --out FOLDER     # elsewhere

It needs gymnasium (`pip install 'tlkit[control]'`). Rows are written as they come: a run that was stopped goes on where
it was.

The source is CartPole-v1 as it is. For each seed a network of its own learns it, and is then carried to each target.
All trainings are proximal policy optimization (Schulman et al., 2017, arXiv:1707.06347) with generalized advantage
estimation (Schulman et al., 2016, arXiv:1506.02438) on 32 carts at once. A training is 64 updates of 1,024 steps; after
each fourth the greedy policy is scored on 100 episodes, whose starts are the same for all. The rate is chosen for each
target and each method by itself, by the mean over all evaluations of three seeds that are none of the ten.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import gymnasium
import numpy as np
import typer
from table_rows import Rows, best_setting
from text_tables import reset_optimizer

import tlkit
from tlkit._keras import keras, tf
from tlkit.backbones import Backbone
from tlkit.domains import Array
from tlkit.tables import FOLDER

CARTS, STEPS, UPDATES = 32, 32, 64  # carts at once, steps of each per update, updates of a training
EVERY, EPISODES, STARTS = 4, 100, 10_000  # updates between evaluations, episodes of one, and the seed of their starts
DISCOUNT, TRACE, CLIP = 0.99, 0.95, 0.2
EPOCHS, BATCH, VALUE_WEIGHT = 4, 256, 10.0
THRESHOLD = 475  # the mean return at which CartPole-v1 counts as solved
WIDTH = 64
SEEDS, CHOOSING = range(10), (100, 101, 102)
SOURCE_RATE = 1e-2  # the best of FROM_SCRATCH on the seeds CHOOSING; main checks it
SOURCE_SEED = 1000  # added to a seed, so that the source's network and carts are others than the target's


@dataclass(frozen=True)
class World:
    """What moves: half the pole's length in m, masses in kg, and the push to the right in N."""

    length: float = 0.5
    masspole: float = 0.1
    masscart: float = 1.0
    force_mag: float = 10.0


SOURCE = "source"
WORLDS = {
    SOURCE: World(),
    "long pole": World(length=1.5),
    "heavy pole": World(masspole=1.0),
    "reversed": World(force_mag=-10.0),
}
# Where the source's policy is only tried.
TRIED = (
    *(World(length=length) for length in (0.25, 0.5, 1.0, 1.5)),
    World(masspole=1.0),
    World(masscart=3.0),
    World(force_mag=-10.0),
)


@dataclass(frozen=True)
class Method:
    """Which layers start as the source's, up to which stage they stay frozen, and which rates are tried.

    The weights of the policy head are divided by ``soften``: the logits shrink, and the greedy policy stays
    the same, to the bit where ``soften`` is a power of 2.
    """

    hidden: bool
    heads: bool
    stage: int
    rates: tuple[float, ...]
    soften: float = 1.0


ALL_LEARN, HEADS_LEARN = (1e-3, 3e-3, 1e-2, 2e-2), (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
FROM_SCRATCH = (*ALL_LEARN, 4e-2)
METHODS = {
    "scratch": Method(False, False, 0, FROM_SCRATCH),
    "fine-tuned": Method(True, True, 0, ALL_LEARN),
    "fine-tuned, new heads": Method(True, False, 0, ALL_LEARN),
    "fine-tuned, softened head": Method(True, True, 0, ALL_LEARN, soften=8.0),
    "first layer frozen": Method(True, True, 1, ALL_LEARN),
    "frozen, new heads": Method(True, False, 2, HEADS_LEARN),
    "random frozen": Method(False, False, 2, HEADS_LEARN),
}
# In the order in which they are measured. On the heavy pole nothing is left to gain, so nothing is trained there.
MEASURED = [
    *itertools.product(
        ("long pole", "reversed"), ("scratch", "fine-tuned", "fine-tuned, new heads", "frozen, new heads")
    ),
    *(("long pole", method) for method in ("fine-tuned, softened head", "first layer frozen", "random frozen")),
    *(("reversed", method) for method in ("random frozen", "fine-tuned, softened head")),
]
RECIPE = (
    f"PPO, {CARTS} carts, {UPDATES} updates of {CARTS * STEPS} steps, {EPOCHS} epochs in batches of {BATCH}, discount "
    f"{DISCOUNT}, trace {TRACE}, clip {CLIP}, Adam at a constant rate; tried {ALL_LEARN}, from scratch {FROM_SCRATCH}, "
    f"with both layers frozen {HEADS_LEARN}; a softened head is the source's over 8; chosen per world and method by "
    f"the mean over all evaluations of seeds {CHOOSING}; greedy, {EPISODES} episodes per evaluation"
)


def carts(world: World, count: int) -> Any:
    """So many carts of a world, which gymnasium moves together."""
    envs = gymnasium.make_vec("CartPole-v1", num_envs=count, vectorization_mode="vector_entry_point").unwrapped
    for name in ("length", "masspole", "masscart", "force_mag"):
        setattr(envs, name, getattr(world, name))
    envs.total_mass = envs.masspole + envs.masscart  # gymnasium computes these two once, from its own masses
    envs.polemass_length = envs.masspole * envs.length
    return envs


@dataclass(frozen=True, eq=False)
class Learner:
    """A network frozen up to a stage, compiled once. ``whole`` has all weights; ``model`` begins behind the trunk."""

    stage: int
    backbone: Backbone
    whole: keras.Model
    model: keras.Model
    update: Callable[..., Any]


def network(seed: int) -> tuple[Backbone, keras.Model, keras.Model]:
    """Two hidden layers as a backbone, a policy head and a value head."""
    state = x = keras.Input((4,), name="state")
    for stage in (1, 2):
        start = keras.initializers.Orthogonal(2**0.5, seed=10 * seed + stage)
        x = keras.layers.Dense(WIDTH, "tanh", kernel_initializer=start, name=f"hidden{stage}")(x)
    backbone = tlkit.wrap_backbone(keras.Model(state, x, name="cart"), stage_ends=("hidden1", "hidden2"))
    start = keras.initializers.GlorotUniform(seed=seed)
    value = keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(1, kernel_initializer=start)], name="value")
    return backbone, tlkit.build_head(backbone, 2, seed=seed), value


def with_heads(core: keras.Model, policy: keras.Model, value: keras.Model) -> keras.Model:
    return keras.Model(core.inputs[0], [policy(core.outputs[0]), value(core.outputs[0])])


def fresh_weights(seed: int) -> list[Array]:
    """Kernel and bias of both hidden layers, of the policy head and of the value head, as random as they start."""
    backbone, policy, value = network(seed)
    weights: list[Array] = with_heads(backbone.model, policy, value).get_weights()
    return weights


def updater(model: keras.Model) -> Callable[..., Any]:
    """Adam's steps over the batches whose places are in ``order``, as one compiled function."""
    weights, optimizer = model.trainable_variables, model.optimizer

    @tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
    def update(features: Any, actions: Any, before: Any, gains: Any, targets: Any, counts: Any, order: Any) -> None:
        for batch in order:
            x, action, log_before, gain, target, count = (
                tf.gather(part, batch) for part in (features, actions, before, gains, targets, counts)
            )
            with tf.GradientTape() as tape:
                logits, values = model(x, training=True)
                log_all = tf.nn.log_softmax(logits)
                ratio = tf.exp(tf.gather(log_all, action, batch_dims=1) - log_before)
                held = tf.clip_by_value(ratio, 1 - CLIP, 1 + CLIP)
                of_policy = -tf.minimum(ratio * gain, held * gain)
                of_value = VALUE_WEIGHT * (values[:, 0] - target) ** 2
                loss = tf.reduce_sum(count * (of_policy + of_value)) / tf.reduce_sum(count)
            optimizer.apply(tape.gradient(loss, weights), weights)

    return update


@functools.cache
def prepare(stage: int) -> Learner:
    backbone, policy, value = network(0)
    tlkit.freeze_to(backbone, stage)
    _, tail = tlkit.split_at(backbone, stage)
    model = with_heads(tail, policy, value)
    model.compile(optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=0.5))
    model.optimizer.build(model.trainable_variables)
    return Learner(stage, backbone, with_heads(backbone.model, policy, value), model, updater(model))


def answer(weights: Sequence[Array], states: Array, stage: int = 0) -> tuple[Array, Array, Array]:
    """Features behind ``stage``, logits ``(n, 2)`` and values ``(n,)``: the network in NumPy, which is faster."""
    k1, b1, k2, b2, k_policy, b_policy, k_value, b_value = weights
    first = np.tanh(states @ k1 + b1)
    second = np.tanh(first @ k2 + b2)
    return (states, first, second)[stage], second @ k_policy + b_policy, (second @ k_value + b_value)[..., 0]


def evaluate(weights: Sequence[Array], envs: Any) -> float:
    """Mean return of the greedy policy, 0..500 steps, one episode per cart."""
    states, _ = envs.reset(seed=STARTS)
    up, total = np.ones(envs.num_envs, bool), 0
    while up.any():
        states, _, fallen, over, _ = envs.step(answer(weights, states)[1].argmax(axis=1))
        total += int(up.sum())
        up &= ~(fallen | over)
    return total / envs.num_envs


def evaluate_all(networks: Sequence[Sequence[Array]], world: World) -> list[float]:
    """:func:`evaluate` of several networks, side by side: gymnasium moves many carts nearly as fast as few."""
    alone, envs = carts(world, EPISODES), carts(world, EPISODES * len(networks))
    alone.reset(seed=STARTS)
    envs.reset(seed=STARTS)
    envs.state = np.tile(alone.state, len(networks))
    stacked = [np.stack(parts) for parts in zip(*networks, strict=True)]
    stacked = [part if part.ndim == 3 else part[:, None] for part in stacked]  # a bias is added to each state
    states, up, total = envs.state.T.astype(np.float32), np.ones(envs.num_envs, bool), np.zeros(envs.num_envs)
    while up.any():
        logits = answer(stacked, states.reshape(len(networks), EPISODES, 4))[1]
        states, _, fallen, over, _ = envs.step(logits.argmax(axis=-1).ravel())
        total += up
        up &= ~(fallen | over)
    return [float(mean) for mean in total.reshape(len(networks), EPISODES).mean(axis=1)]


def advantages(rewards: Array, values: Array, fallen: Array, over: Array, counts: Array) -> Array:
    """How much better each action went than the value head expected ``(steps, n)``; ``values`` is one step longer."""
    found, ahead = np.zeros_like(rewards), np.zeros(rewards.shape[1], np.float32)
    for t in reversed(range(len(rewards))):
        surprise = rewards[t] + DISCOUNT * values[t + 1] * ~fallen[t] - values[t]
        ahead = (surprise + DISCOUNT * TRACE * ahead * ~over[t]) * counts[t]
        found[t] = ahead
    return found


class Carts:
    """Carts that go on from update to update. Each ``drive`` gives what one update learns from."""

    def __init__(self, world: World, seed: int) -> None:
        self.envs, self.rng = carts(world, CARTS), np.random.default_rng(seed)
        self.states, _ = self.envs.reset(seed=seed)
        self.waits = np.zeros(CARTS, bool)  # over in the step before: gymnasium sets such a cart up anew, unasked
        self.episodes = 0

    def drive(self, weights: Sequence[Array], stage: int) -> list[Array]:
        seen: list[tuple[Array, ...]] = []
        for _ in range(STEPS):
            features, logits, values = answer(weights, self.states, stage)
            right = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
            actions = (self.rng.random(CARTS) < right).astype(np.int64)
            log_chance = np.log(np.where(actions, right, 1 - right) + 1e-12)
            self.states, _, fallen, late, _ = self.envs.step(actions)
            over, counts = fallen | late, ~self.waits
            seen.append((features, actions, log_chance, values, fallen.copy(), over, counts))
            self.waits, self.episodes = over, self.episodes + int(over.sum())
        features, actions, before, values, fallen, over, counts = (np.stack(part) for part in zip(*seen, strict=True))
        counts = counts.astype(np.float32)
        values = np.concatenate([values, answer(weights, self.states)[2][None]])
        # Each step earns 1; scaled so that a pole that never falls is worth 1.
        gains = advantages(np.full_like(counts, 1 - DISCOUNT), values, fallen, over, counts)
        targets = gains + values[:-1]
        known = gains[counts > 0]
        gains = (gains - known.mean()) / (known.std() + 1e-8)
        flat = (features, actions, before.astype(np.float32), gains, targets, counts)
        return [part.reshape(CARTS * STEPS, *part.shape[2:]) for part in flat]


@dataclass(frozen=True, eq=False)
class Training:
    """Returns after 0, EVERY, … updates; episodes that had ended by then; the weights at the end."""

    returns: list[float]
    episodes: list[int]
    weights: list[Array]


def train(
    weights: Sequence[Array], world: World, *, stage: int, rate: float, seed: int, updates: int = UPDATES
) -> Training:
    learner, moving = prepare(stage), Carts(world, seed)
    learner.whole.set_weights(weights)
    reset_optimizer(learner.model)
    learner.model.optimizer.learning_rate = rate
    networks, episodes = [list(weights)], [0]
    for update in range(1, updates + 1):
        rollout = moving.drive(learner.whole.get_weights(), stage)
        orders = [moving.rng.permutation(CARTS * STEPS).reshape(-1, BATCH) for _ in range(EPOCHS)]
        learner.update(*(tf.constant(part) for part in rollout), tf.constant(np.concatenate(orders)))
        if update % EVERY == 0:
            networks.append(learner.whole.get_weights())
            episodes.append(moving.episodes)
    return Training(evaluate_all(networks, world), episodes, learner.whole.get_weights())


@functools.cache
def source_training(seed: int) -> Training:
    """The source of one seed, at the rate that was chosen for it."""
    return train(fresh_weights(SOURCE_SEED + seed), WORLDS[SOURCE], stage=0, rate=SOURCE_RATE, seed=SOURCE_SEED + seed)


def start(method: str, seed: int) -> list[Array]:
    """The weights from which a method sets out: four arrays of the hidden layers, four of the heads."""
    of, fresh = METHODS[method], fresh_weights(seed)
    learned = source_training(seed).weights if of.hidden or of.heads else fresh
    heads = (learned if of.heads else fresh)[4:]
    return [*(learned if of.hidden else fresh)[:4], *(part / of.soften for part in heads[:2]), *heads[2:]]


def run(world: str, method: str, seed: int, rate: float) -> Training:
    return train(start(method, seed), WORLDS[world], stage=METHODS[method].stage, rate=rate, seed=seed)


def row_of(at: dict[str, Any], training: Training) -> dict[str, Any]:
    """One run in one row: ``episodes`` until the threshold was seen, all of them where it was not, then the returns."""
    reached = [number for number, value in enumerate(training.returns) if value >= THRESHOLD]
    curve = {f"after_{EVERY * number}": value for number, value in enumerate(training.returns)}
    return at | {"episodes": training.episodes[reached[0] if reached else -1]} | curve


def choose(world: str, method: str, choices: Rows) -> float:
    """The rate with the best mean over all evaluations."""
    for seed, rate in itertools.product(CHOOSING, METHODS[method].rates):
        if choices.lacks(world, method, seed, rate):
            mean = float(np.mean(run(world, method, seed, rate).returns))
            choices.add({"world": world, "method": method, "seed": seed, "rate": rate, "validation": mean})
    own = [row for row in choices.rows if (row["world"], row["method"]) == (world, method)]
    return float(best_setting(own, "rate")[0])


def zero_shot(seed: int, world: World) -> list[dict[str, Any]]:
    """The mean return of the source's policy where it has never been, of an untrained network's, and of a coin."""
    envs = carts(world, EPISODES)
    at = {"seed": seed, **dataclasses.asdict(world)}
    rows = [
        at | {"policy": name, "return": evaluate(weights, envs), "doubt": doubt(weights, envs)}
        for name, weights in (("source", source_training(seed).weights), ("untrained", fresh_weights(seed)))
    ]
    return [*rows, at | {"policy": "coin", "return": by_coin(envs, seed), "doubt": 0.5}]


def doubt(weights: Sequence[Array], envs: Any) -> float:
    """The probability of the push that is less likely, averaged over the states of greedy episodes; 0..0.5."""
    states, _ = envs.reset(seed=STARTS)
    up, found = np.ones(envs.num_envs, bool), []
    while up.any():
        logits = answer(weights, states)[1]
        found.append((1 / (1 + np.exp(np.abs(logits[:, 1] - logits[:, 0]))))[up])
        states, _, fallen, over, _ = envs.step(logits.argmax(axis=1))
        up &= ~(fallen | over)
    return float(np.concatenate(found).mean())


def by_coin(envs: Any, seed: int) -> float:
    """Mean return of pushes that a coin decides."""
    envs.reset(seed=STARTS)
    rng, up, total = np.random.default_rng(seed), np.ones(envs.num_envs, bool), 0
    while up.any():
        _, _, fallen, over, _ = envs.step(rng.integers(2, size=envs.num_envs))
        total += int(up.sum())
        up &= ~(fallen | over)
    return total / envs.num_envs


def tables(out: Path) -> tuple[Rows, Rows, Rows]:
    title = f"mean greedy return after so many updates; episodes until it was first {THRESHOLD} or more, or all of them"
    curves = Rows(out / "control.csv", title, RECIPE, "world", "method", "seed")
    title = "mean of all evaluations per rate, on seeds that are none of the ten"
    choices = Rows(out / "control_choices.csv", title, RECIPE, "world", "method", "seed", "rate")
    title = "mean greedy return without training there, and the mean probability of the push that is less likely"
    names = [field.name for field in dataclasses.fields(World)]
    return curves, choices, Rows(out / "control_zero.csv", title, RECIPE, "seed", *names, "policy")


def main(out: Annotated[Path, typer.Option(help="The folder that takes the tables.")] = FOLDER) -> None:
    """Choose, measure, store."""
    curves, choices, zeros = tables(out)
    begin = time.process_time()
    if choose(SOURCE, "scratch", choices) != SOURCE_RATE:
        raise ValueError(f"SOURCE_RATE must be the best of {FROM_SCRATCH} in control_choices.csv, got {SOURCE_RATE}.")
    rates = {(world, method): choose(world, method, choices) for world, method in MEASURED}
    typer.echo(f"rates: {rates}, {time.process_time() - begin:.0f} s")
    for seed in SEEDS:
        if curves.lacks(SOURCE, "scratch", seed):
            at = {"world": SOURCE, "method": "scratch", "seed": seed, "rate": SOURCE_RATE}
            curves.add(row_of(at, source_training(seed)))
    for (world, method), seed in itertools.product(MEASURED, SEEDS):
        if curves.lacks(world, method, seed):
            at = {"world": world, "method": method, "seed": seed, "rate": rates[world, method]}
            curves.add(row_of(at, run(world, method, seed, rates[world, method])))
    for seed, there in itertools.product(SEEDS, TRIED):
        if zeros.lacks(seed, *dataclasses.astuple(there), "coin"):
            zeros.add(*zero_shot(seed, there))
    typer.echo(f"{time.process_time() - begin:.0f} s")


if __name__ == "__main__":
    typer.run(main)
