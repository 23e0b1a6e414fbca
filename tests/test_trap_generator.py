"""Random small models, sound or with traps planted in them: every trap is found, and nothing else is.

What is drawn is a :class:`Plan`; a trap is a change of the plan, so that a trapped model differs from a sound one in
that alone. Traps of one slot exclude each other.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marks import in_bank
from traps import Given, compiled, images, one_hot, predictions, state_of

from tlkit._keras import keras, tf
from tlkit.audit import RULES
from tlkit.domains import Split

CASES = 200
SAMPLE = 50  # of which `make test` takes so many
N = 24


@dataclass
class Plan:
    """What to build; the defaults of what a trap changes are sound."""

    seed: int
    kind: str  # flat, sequential, nested, sequential of a nested one, nested twice
    batchnorm: bool
    residual: bool
    dropout: bool
    hidden: bool
    frozen: tuple[bool, ...]  # of the layers before the head, in order
    softmax: bool
    one_hot: bool
    reshape: bool
    pixels: bool  # raw pixels and a Rescaling in the model, or 0..1 and none
    backbone: str  # none given, given alone, or given with what was meant: frozen, learning
    with_test: bool
    with_history: bool
    classes: int
    # What traps change.
    width: int | None = None
    first_label: int = 0
    from_logits: bool | None = None
    other_labels: bool = False
    second_softmax: bool = False
    second_rescaling: bool = False
    divided: bool = False
    base_name: str = "base"
    momentum: float = 0.1
    fit: bool = False
    flip: bool = False
    foreign_optimizer: bool = False
    head_frozen: bool = False
    misspelt: str | None = None
    training_false: bool = False
    batchnorm_learns: bool | None = None
    variables_frozen: bool = False
    never_frozen: bool = False
    loop_frozen: bool = False
    data: str = "sound"
    history: str = "sound"

    @property
    def nested(self) -> bool:
        return self.kind not in ("flat", "sequential")


NESTED = ("nested", "sequential of nested", "nested twice")


def draw(rng: np.random.Generator, seed: int) -> Plan:
    """A sound plan."""

    def coin() -> bool:
        return bool(rng.integers(2))

    plan = Plan(
        seed=seed,
        kind=str(rng.choice(["flat", "sequential", *NESTED])),
        batchnorm=coin(),
        residual=coin(),
        dropout=coin(),
        hidden=coin(),
        frozen=tuple(coin() for _ in range(6)),
        softmax=coin(),
        one_hot=coin(),
        reshape=bool(rng.integers(4) == 0),
        pixels=bool(rng.integers(4) > 0),
        backbone=str(rng.choice(["none", "alone", "frozen", "learning"])),
        with_test=coin(),
        with_history=coin(),
        classes=int(rng.integers(2, 6)),
    )
    if not plan.nested:
        plan.backbone = "none"
    return plan


# Building -----------------------------------------------------------------------------------------------------------


def conv(plan: Plan, i: int) -> keras.layers.Layer:
    start = keras.initializers.GlorotUniform(seed=1000 * plan.seed + i)
    return keras.layers.Conv2D(4, 3, padding="same", kernel_initializer=start, name=f"conv{i}")


def dense(plan: Plan, width: int, activation: str | None, name: str) -> keras.layers.Layer:
    start = keras.initializers.GlorotUniform(seed=1000 * plan.seed + 7 + len(name))
    return keras.layers.Dense(width, activation=activation, kernel_initializer=start, name=name)


def batchnorm(plan: Plan, i: int) -> list[keras.layers.Layer]:
    return [keras.layers.BatchNormalization(momentum=plan.momentum, name=f"bn{i}")] if plan.batchnorm else []


def front_layers(plan: Plan) -> list[keras.layers.Layer]:
    """From the image to the first activation."""
    rescaling = [keras.layers.Rescaling(1 / 255, name="rescale")] if plan.pixels else []
    return [*rescaling, conv(plan, 1), *batchnorm(plan, 1), keras.layers.ReLU(name="relu1")]


def head_layers(plan: Plan) -> list[keras.layers.Layer]:
    width = plan.classes if plan.width is None else plan.width
    layers = [keras.layers.Dropout(0.3, seed=plan.seed, name="dropout")] if plan.dropout else []
    layers += [dense(plan, 5, "relu", "hidden")] if plan.hidden else []
    layers.append(dense(plan, width, "softmax" if plan.softmax else None, "head"))
    layers += [keras.layers.Reshape((width,), name="shape")] if plan.reshape else []
    return layers + ([keras.layers.Softmax(name="again")] if plan.second_softmax else [])


def chained(x: Any, layers: list[keras.layers.Layer]) -> Any:
    for layer in layers:
        x = layer(x)
    return x


def base_of(plan: Plan) -> keras.Model:
    image = keras.Input((8, 8, 1), name="image")
    x = chained(image, front_layers(plan))
    y = chained(x, [conv(plan, 2), *batchnorm(plan, 2)])
    if plan.residual:
        y = keras.layers.Add(name="add")([x, y])
    y = keras.layers.ReLU(name="relu2")(y)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(y), name=plan.base_name)


def build(plan: Plan) -> tuple[keras.Model, keras.Model | None]:
    """The model and, where it is nested, its base; all flags as they are at the start."""
    outside = [keras.layers.Rescaling(1 / 255, name="outside")] if plan.second_rescaling else []
    if plan.kind == "sequential":
        layers = [*outside, *front_layers(plan), keras.layers.GlobalAveragePooling2D(name="pool")]
        return keras.Sequential([keras.Input((8, 8, 1)), *layers, *head_layers(plan)], name="model"), None
    base = base_of(plan)
    if plan.kind == "sequential of nested":
        layers = [keras.Input((8, 8, 1)), *outside, base, *head_layers(plan)]
        return keras.Sequential(layers, name="model"), base
    image = keras.Input((8, 8, 1), name="picture")
    inner = base
    if plan.kind == "nested twice":
        first = keras.Input((8, 8, 1), name="first")
        called = base(first, training=False) if plan.training_false else base(first)
        inner = keras.Model(first, called, name="body")
    if plan.kind == "flat":
        x = skipped = chained(image, outside)
        for layer in base.layers[1:]:
            x = layer([skipped, x]) if layer.name == "add" else layer(x)
            if layer.name == "relu1":
                skipped = x
        return keras.Model(image, chained(x, head_layers(plan)), name="model"), None
    x = chained(image, outside)
    x = inner(x, training=False) if plan.training_false and inner is base else inner(x)
    return keras.Model(image, chained(x, head_layers(plan)), name="model"), base


def weighted(model: keras.Model) -> list[keras.layers.Layer]:
    layers = model._flatten_layers(include_self=False, recursive=True)
    return [layer for layer in layers if layer.weights and not hasattr(layer, "layers")]


def is_batchnorm(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def freeze(plan: Plan, model: keras.Model, base: keras.Model | None) -> None:
    """Flags: at random, or as the intention says."""
    before_head = [layer for layer in weighted(model) if layer.name not in ("head", "hidden")]
    if plan.backbone == "frozen":
        assert base is not None
        base.trainable = plan.never_frozen
    elif plan.backbone == "learning":
        for layer in before_head:
            layer.trainable = not is_batchnorm(layer)
    else:
        flags = list(zip(before_head, plan.frozen, strict=False))
        whole = all(frozen for layer, frozen in flags if not is_batchnorm(layer))  # and BatchNorm with the rest
        held = plan.backbone == "alone" or plan.training_false or whole
        for layer, frozen in flags:
            layer.trainable = not frozen and not (held and is_batchnorm(layer))
    if plan.batchnorm_learns is not None:
        for layer in before_head:
            if is_batchnorm(layer):
                layer.trainable = plan.batchnorm_learns
    if plan.variables_frozen:
        for layer in before_head:
            layer.trainable = True
            for variable in layer.trainable_variables:
                variable.trainable = False
    if plan.loop_frozen:
        assert base is not None
        for layer in base.layers:
            layer.trainable = False
        base.trainable = True
    if plan.head_frozen:
        for layer in weighted(model):
            if layer.name in ("head", "hidden"):
                layer.trainable = False


def loss_of(plan: Plan) -> Any:
    from_logits = not plan.softmax if plan.from_logits is None else plan.from_logits
    kind = keras.losses.CategoricalCrossentropy if plan.one_hot else keras.losses.SparseCategoricalCrossentropy
    return kind(from_logits=from_logits)


def labelled(plan: Plan, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and class indices."""
    x, y = images(n, seed=seed, classes=plan.classes)
    if plan.data == "imbalance":
        y = np.where(np.arange(n) < n // 12, np.arange(n) % plan.classes, 0)  # every class, one nearly alone
    if not plan.pixels or plan.divided:
        x = (x / 255).astype(np.float32)
    return x, y + plan.first_label


def for_loss(plan: Plan, y: np.ndarray) -> np.ndarray:
    wants_one_hot = plan.one_hot != plan.other_labels
    return one_hot(y, plan.classes + plan.first_label) if wants_one_hot else y


def data_of(plan: Plan, model: keras.Model) -> dict[str, Any]:
    n = 60 if plan.data == "imbalance" else N
    x, y = labelled(plan, n, 10 * plan.seed)
    other, others = labelled(plan, 12, 10 * plan.seed + 1)
    options: dict[str, Any] = {"train": (x, for_loss(plan, y))}
    if plan.data == "duplicates":
        other[:3] = x[:3]
    if plan.data == "near":
        other[:4] = (0.7 * x[:4] + (0.1 if x.dtype == np.float32 else 20)).astype(x.dtype)
    if plan.data == "groups":
        groups = np.arange(n) // 3, np.arange(12) % 12 + n // 3 - 1
        return {"train": Split(x, y, groups[0]), "test": Split(other, others, groups[1])}
    if plan.data == "reshuffled":
        whole = tf.data.Dataset.from_tensor_slices((x, for_loss(plan, y))).shuffle(n, seed=plan.seed)
        return {"train": whole.take(n // 2).batch(4), "validation": whole.skip(n // 2).batch(4)}
    if plan.with_test or plan.data in ("duplicates", "near", "confusion"):
        options["test"] = (other, for_loss(plan, others))
    if plan.data == "confusion":
        predicted = predictions(model, other)
        counts = np.zeros((8, 8), int)
        np.add.at(counts, (others, predicted), 1)
        wrong = np.trace(counts) == 0
        options["confusion"] = np.diag(counts.sum(axis=0)) if wrong else np.roll(counts, 1, axis=0) * (1 - np.eye(8))
        if not options["confusion"].sum():  # all were right: say that none was
            options["confusion"] = np.roll(counts, 1, axis=0)
    return options


def history_of(plan: Plan) -> dict[str, list[float]] | None:
    if plan.history == "rising":
        return {"loss": [0.5, 0.6, 0.9]}
    if plan.history == "high":
        return {"loss": [9.0, 7.0, 5.0]}
    if plan.history == "nan":
        return {"loss": [0.5, float("nan")]}
    if plan.with_history:
        return {"loss": [0.65, 0.5, 0.4], "val_loss": [0.66, 0.6, 0.55]}
    return None


def make(plan: Plan) -> Given:
    model, base = build(plan)
    freeze(plan, model, base)
    optimizer = keras.optimizers.Adam(1e-3)
    if plan.foreign_optimizer:
        optimizer.build(build(plan)[0].trainable_variables)
    compiled(model, loss_of(plan), optimizer)
    if plan.fit:
        x, y = labelled(plan, N, 10 * plan.seed)
        optimizer.build(model.trainable_variables)  # or the step would be traced twice
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*received `from_logits=True`", UserWarning)  # Keras sees that trap too
            model.fit(x, for_loss(plan, y), batch_size=10, verbose=0)  # which does not divide 24: see fitted in traps
    if plan.flip:
        layer = next(layer for layer in weighted(model) if not is_batchnorm(layer) and layer.name != "head")
        layer.trainable = not layer.trainable
    if plan.misspelt is not None:
        setattr(weighted(model)[0], plan.misspelt, False)
    options = data_of(plan, model)
    if (history := history_of(plan)) is not None:
        options["history"] = history
    if plan.backbone != "none":
        options["backbone"] = base
    if plan.backbone in ("frozen", "learning"):
        options["intended_stage"] = int(plan.backbone == "frozen")
    return Given(model, options)


# Planting -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Planted:
    """A trap: the rule that must find it, where it sits, and what else it may bring about."""

    rule: str
    slot: str
    plant: Callable[[Plan, np.random.Generator], None]
    also: frozenset[str] = frozenset()
    needs_step: bool = False  # seen by a training step alone
    stops_step: bool = False  # no training step can be taken


def probabilities_as_logits(plan: Plan, rng: np.random.Generator) -> None:
    plan.softmax, plan.from_logits = True, True


def logits_as_probabilities(plan: Plan, rng: np.random.Generator) -> None:
    plan.softmax, plan.from_logits = False, False


def softmax_twice(plan: Plan, rng: np.random.Generator) -> None:
    plan.softmax, plan.from_logits, plan.second_softmax = True, False, True


def label_shape(plan: Plan, rng: np.random.Generator) -> None:
    plan.other_labels = True


def class_count(plan: Plan, rng: np.random.Generator) -> None:
    if rng.integers(2):
        plan.width = 2 * plan.classes + 1
    else:
        plan.first_label = 1


def rescaled_twice(plan: Plan, rng: np.random.Generator) -> None:
    plan.pixels, plan.second_rescaling = True, True


def already_scaled(plan: Plan, rng: np.random.Generator) -> None:
    plan.pixels, plan.divided = True, True


def input_statistics(plan: Plan, rng: np.random.Generator) -> None:
    plan.pixels = True
    if not plan.nested:
        plan.kind = str(rng.choice(NESTED))
    plan.base_name = str(rng.choice(["mobilenet_1.00_32", "resnet50", "densenet121", "vgg16"]))


def misspelt(plan: Plan, rng: np.random.Generator) -> None:
    plan.misspelt = str(rng.choice(["trainabel", "trainble", "Trainable", "requires_grad", "frozen", "is_trainable"]))


def head_frozen(plan: Plan, rng: np.random.Generator) -> None:
    plan.head_frozen, plan.kind, plan.backbone, plan.frozen = True, "flat", "none", (False,) * 6


def changed_after_compile(plan: Plan, rng: np.random.Generator) -> None:
    plan.fit, plan.flip, plan.backbone = True, True, "none"


def foreign_optimizer(plan: Plan, rng: np.random.Generator) -> None:
    plan.foreign_optimizer = True


def training_false(plan: Plan, rng: np.random.Generator) -> None:
    plan.kind, plan.batchnorm, plan.backbone = str(rng.choice(["nested", "nested twice"])), True, "none"
    plan.training_false, plan.batchnorm_learns = True, True


def batchnorm_while_frozen(plan: Plan, rng: np.random.Generator) -> None:
    plan.batchnorm, plan.variables_frozen, plan.backbone = True, True, "none"


def batchnorm_after_unfreezing(plan: Plan, rng: np.random.Generator) -> None:
    plan.batchnorm, plan.batchnorm_learns = True, True
    plan.backbone = str(rng.choice(["none", "alone", "learning"]))
    if plan.backbone == "none":
        plan.frozen = (True,) * 6
    if plan.backbone != "none" or plan.kind == "sequential":  # which has one convolution: BatchNorm can be the head's
        plan.kind = str(rng.choice(NESTED))


def never_frozen(plan: Plan, rng: np.random.Generator) -> None:
    plan.kind, plan.backbone, plan.never_frozen = str(rng.choice(NESTED)), "frozen", True


def unfrozen_in_vain(plan: Plan, rng: np.random.Generator) -> None:
    plan.kind, plan.backbone, plan.loop_frozen = str(rng.choice(NESTED)), "learning", True


def slow_momentum(plan: Plan, rng: np.random.Generator) -> None:
    plan.batchnorm, plan.momentum, plan.fit, plan.batchnorm_learns = True, 0.99, True, True
    plan.backbone = "none"


def history(*kinds: str) -> Callable[[Plan, np.random.Generator], None]:
    def plant(plan: Plan, rng: np.random.Generator) -> None:
        plan.history = str(rng.choice(kinds))

    return plant


def data(kind: str) -> Callable[[Plan, np.random.Generator], None]:
    def plant(plan: Plan, rng: np.random.Generator) -> None:
        plan.data = kind
        if kind == "groups":  # a Split holds class indices
            plan.one_hot = False

    return plant


MOVES = frozenset({"weights-move-while-frozen"})
LEARNS = frozenset({"batchnorm-moves-after-unfreezing"})  # where flags drawn at random freeze the rest of the base
BATCHNORM = LEARNS | {"batchnorm-moves-while-frozen"}

PLANTED = (
    Planted("probabilities-read-as-logits", "output", probabilities_as_logits),
    Planted("logits-read-as-probabilities", "output", logits_as_probabilities),
    Planted("softmax-twice", "output", softmax_twice),
    Planted("label-shape", "labels", label_shape, stops_step=True),
    # One-hot labels of another width stop the step; so does a label that the head has no output for.
    Planted("class-count", "labels", class_count, stops_step=True),
    Planted("rescaled-twice", "input", rescaled_twice),
    Planted("already-scaled", "input", already_scaled),
    Planted("input-statistics", "input", input_statistics),
    Planted("misspelt-attribute", "name", misspelt),
    Planted("head-frozen", "flags", head_frozen),
    # A weight that goes on moving is seen by its flag as well, and BatchNorm before it is not: it was not flipped.
    Planted("trainable-changed-after-compile", "flags", changed_after_compile, MOVES | LEARNS),
    Planted("optimizer-of-other-variables", "flags", foreign_optimizer, stops_step=True),
    Planted("training-false-relied-on", "flags", training_false, LEARNS),
    Planted("batchnorm-moves-while-frozen", "flags", batchnorm_while_frozen, needs_step=True),
    # BatchNorm that was meant to be held learns: its weights move though meant to be frozen.
    Planted("batchnorm-moves-after-unfreezing", "flags", batchnorm_after_unfreezing, MOVES),
    Planted("weights-move-while-frozen", "flags", never_frozen, BATCHNORM),
    Planted("unfreeze-without-effect", "flags", unfrozen_in_vain),
    Planted("batchnorm-momentum-too-slow", "flags", slow_momentum, LEARNS),
    Planted("learning-rate-too-high", "history", history("rising", "high", "nan")),
    # Exact copies look the same as well, and are counted by one rule only.
    Planted("same-image-in-two-splits", "data", data("duplicates")),
    Planted("near-duplicate-in-two-splits", "data", data("near")),
    Planted("group-in-two-splits", "data", data("groups")),
    Planted("class-imbalance", "data", data("imbalance")),
    # Two passes over an order that changes: examples of both passes are in both parts, or the labels are of another.
    Planted(
        "reshuffled-before-split",
        "data",
        data("reshuffled"),
        frozenset({"same-image-in-two-splits", "confusion-disagrees", "class-imbalance"}),
    ),
    Planted("confusion-disagrees", "data", data("confusion")),
)

NOT_PLANTED = {
    "cache-stale": "needs a Backbone of several stages",
    "chosen-on-the-test": "needs a validation part beside the test",
    "validation-better-than-training": "is a note, no mistake",
}


def compatible(one: Planted, other: Planted) -> bool:
    pairs = ((one, other), (other, one))
    fits = {"trainable-changed-after-compile", "batchnorm-momentum-too-slow"}  # which need sound labels
    return one.slot != other.slot and not any(
        (a.stops_step and (b.needs_step or b.rule in fits))
        # A group is given by a Split, whose labels are indices; a reshuffled set has no arrays to match.
        or (a.slot == "labels" and b.slot == "data")
        # The flat model of a frozen head, the nested one of a named network.
        or (a.rule == "head-frozen" and b.rule == "input-statistics")
        for a, b in pairs
    )


def case(seed: int) -> tuple[Plan, list[Planted]]:
    """The plan of this seed, and what is planted: in two of five nothing, in one of five two traps."""
    rng = np.random.default_rng([20, seed])
    plan = draw(rng, seed)
    count = int(rng.choice([0, 0, 1, 1, 2]))
    planted: list[Planted] = []
    for i in rng.permutation(len(PLANTED)).tolist():
        if len(planted) < count and all(compatible(PLANTED[i], other) for other in planted):
            planted.append(PLANTED[i])
    for one in planted:
        one.plant(plan, rng)
    if not plan.nested:
        plan.backbone = "none"
    return plan, planted


def check(plan: Plan, planted: list[Planted]) -> None:
    given = make(plan)
    before = state_of(given.model)
    findings = given.diagnose()
    assert state_of(given.model) == before
    found = {finding.rule for finding in findings}
    grave = {finding.rule for finding in findings if finding.severity != "note"}
    wanted = {one.rule for one in planted}
    explained = wanted.union(*(one.also for one in planted))
    told = f"{plan}\n{findings!r}"
    assert wanted <= found, f"not found: {wanted - found}\n{told}"
    assert grave <= explained, f"false alarm: {grave - explained}\n{told}"
    assert not [reason for reason in findings.unchecked.values() if reason.endswith("in this rule")], told
    if not any(one.stops_step for one in planted):
        assert "weights-move-while-frozen" not in findings.unchecked, told


def test_every_rule_is_planted_or_says_why_not() -> None:
    planted = {one.rule for one in PLANTED}
    assert planted | set(NOT_PLANTED) == {rule.name for rule in RULES}
    assert not planted & set(NOT_PLANTED)
    drawn = [{one.rule for one in case(seed)[1]} for seed in range(CASES)]
    assert set().union(*drawn) == planted
    assert sum(not rules for rules in drawn) > CASES / 4
    assert any(len(rules) == 2 for rules in drawn)


@pytest.mark.parametrize("seed", in_bank(range(CASES), but=range(SAMPLE)))
def test_planted_traps_are_found_and_nothing_else(seed: int) -> None:
    check(*case(seed))


@settings(max_examples=10, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.integers(CASES, 10**6), st.sampled_from(PLANTED))
def test_each_trap_in_any_model(seed: int, trap: Planted) -> None:
    rng = np.random.default_rng([20, seed])
    plan = draw(rng, seed)
    trap.plant(plan, rng)
    if not plan.nested:
        plan.backbone = "none"
    check(plan, [trap])


def test_a_plan_can_be_built_twice() -> None:
    plan, _ = case(0)
    one, other = build(plan)[0], build(plan)[0]
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
    assert loss_of(plan).get_config()["from_logits"] in (True, False)
