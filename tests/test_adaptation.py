"""Adaptation: identities, independent implementations, and that no label of the target is ever read."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import build_notebooks
import numpy as np
import pandas as pd
import pytest
from helpers import raises_one_line, random_split, same_weights, toy_backbone, weights_of
from marks import in_bank
from scipy import linalg

import tlkit
from tlkit import adaptation
from tlkit._keras import keras, tf
from tlkit.adaptation import (
    DANN,
    DeepCoral,
    PseudoLabels,
    adapt,
    adapt_batchnorm,
    coral,
    coral_loss,
    reversal_strength,
    reverse_gradient,
    tent,
)
from tlkit.backbones import Backbone
from tlkit.domains import Split
from tlkit.features import cache_features, split_at
from tlkit.freezing import freeze_to, is_batchnorm
from tlkit.heads import build_head, join
from tlkit.training import fit

METHODS = (DANN(), DeepCoral(), PseudoLabels())
OFF = [DANN(0), DeepCoral(0), PseudoLabels(0)]


def some_methods(*but: Any) -> pytest.MarkDecorator:
    """One method in `make test`, each in `make bank`."""
    return pytest.mark.parametrize("method", in_bank(METHODS, but=but), ids=lambda method: type(method).__name__)


SHORT: dict[str, Any] = {"epochs": 2, "learning_rate": 0.01, "batch_size": 7, "seed": 3, "progress": False}


def source() -> Split:
    return random_split(24, signal=True)


def target(n: int = 20) -> np.ndarray:
    """Darker and noisier than the source."""
    return random_split(n, seed=9, signal=True).x // 2 + 20


def network(*, dropout: float = 0.0, train_batchnorm: bool = True) -> tuple[keras.Model, keras.Model]:
    """The first stage of the toy backbone, a convolution with BatchNorm, and a head."""
    toy = toy_backbone(1)
    first, end = split_at(toy, 1)[0], toy.stage_ends[0]
    backbone = Backbone("small", first, (end,))
    freeze_to(backbone, 0, train_batchnorm=train_batchnorm)
    return backbone.model, build_head(backbone, 3, hidden=(5,), dropout=dropout, seed=1)


def features(n: int, d: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)


# Gradient reversal


@pytest.mark.parametrize("strength", [0.0, 0.3, 2.0])
def test_the_gradient_is_minus_strength_times_the_one_without_reversal(strength: float) -> None:
    x = tf.Variable(features(5, 3, 0).astype(np.float32))

    def gradient(through: Callable[[Any], Any]) -> np.ndarray:
        with tf.GradientTape() as tape:
            passed = through(x)
            loss = tf.reduce_sum(tf.sin(passed) * passed)
        assert np.array_equal(passed, x)
        return np.asarray(tape.gradient(loss, x))

    np.testing.assert_allclose(
        gradient(lambda x: reverse_gradient(x, strength)), -strength * gradient(tf.identity), rtol=1e-6
    )


def test_the_schedule_is_the_papers() -> None:
    p = np.linspace(0, 1, 11)
    np.testing.assert_allclose(reversal_strength(p), np.tanh(5 * p))  # 2 / (1 + exp(-10 p)) - 1, by another name
    assert float(reversal_strength(tf.constant(0.1))) == pytest.approx(2 / (1 + np.exp(-1)) - 1)
    assert reversal_strength(0.5, gamma=0) == 0


def test_dann_takes_the_step_of_the_papers_saddle_point() -> None:
    """By plain SGD: the features go down the loss of the classes and up that of the domains, the rest goes down."""
    given, other, rate, seed = source(), target(24), 0.1, 5
    core, head = network(train_batchnorm=False)
    start = [model.get_weights() for model in (core, head)]
    options: dict[str, Any] = {"epochs": 2, "learning_rate": rate, "batch_size": 24, "seed": seed, "progress": False}
    adapt(core, head, given, other, DANN(0.7, hidden=4), optimizer="sgd", **options)
    trained = [model.get_weights() for model in (core, head)]

    for model, weights in zip((core, head), start, strict=True):
        model.set_weights(weights)
    seeds = np.random.SeedSequence([seed, 2]).generate_state(2).tolist()
    width = core.output_shape[-1]
    first, second = (
        tf.Variable(keras.initializers.GlorotUniform(seed=each)(shape))
        for each, shape in zip(seeds, ((width, 4), (4, 1)), strict=True)
    )
    biases = [tf.Variable(tf.zeros(4)), tf.Variable(tf.zeros(1))]
    for strength in (0.0, 0.7 * np.tanh(5 * 0.5)):  # at 0 and at half of the training
        with tf.GradientTape(persistent=True) as tape:
            classes = keras.losses.sparse_categorical_crossentropy(given.y, head(core(given.x)), from_logits=True)
            chances = []
            for x in (given.x, other):
                hidden = tf.nn.relu(tf.reduce_mean(core(x), axis=(1, 2)) @ first + biases[0])
                chances.append(tf.sigmoid(hidden @ second + biases[1]))
            told = -(tf.reduce_mean(tf.math.log(1 - chances[0])) + tf.reduce_mean(tf.math.log(chances[1]))) / 2
            right = tf.reduce_mean(classes)
        own = core.trainable_weights
        steps = [a - strength * b for a, b in zip(tape.gradient(right, own), tape.gradient(told, own), strict=True)]
        others = [*head.trainable_weights]
        steps += tape.gradient(right, others)
        tells = [first, second, *biases]
        for weight, step in zip([*own, *others, *tells], [*steps, *tape.gradient(told, tells)], strict=True):
            weight.assign(weight - rate * step)
    for model, weights in zip((core, head), trained, strict=True):
        for mine, wanted in zip(weights, model.get_weights(), strict=True):
            np.testing.assert_allclose(mine, wanted, atol=1e-5)


# With a weight of 0 it is training on the source


@functools.cache  # to be compared with
def on_the_source_alone(train_batchnorm: bool) -> tuple[keras.Model, pd.DataFrame]:
    model = join(*network(dropout=0.3, train_batchnorm=train_batchnorm))
    return model, fit(model, source(), validation=source(), **SHORT)


@pytest.mark.parametrize(
    ("train_batchnorm", "method"),
    in_bank(
        [(flag, method) for flag in (True, False) for method in OFF],
        but=[(True, DANN(0)), (False, DeepCoral(0)), (True, PseudoLabels(0))],
        names=2,
    ),
    ids=lambda value: str(value) if isinstance(value, bool) else type(value).__name__,
)
def test_with_weight_0_it_is_training_on_the_source_alone(train_batchnorm: bool, method: Any) -> None:
    core, head = network(dropout=0.3, train_batchnorm=train_batchnorm)
    history = adapt(core, head, source(), target(), method, validation=source(), **SHORT)
    plain, expected = on_the_source_alone(train_batchnorm)
    assert same_weights(join(core, head), plain)
    np.testing.assert_allclose(history[list(expected)].drop(columns="split"), expected.drop(columns="split"), atol=1e-6)
    assert history["alignment"].notna().tolist() == (history["split"] == "train").tolist()


@some_methods(PseudoLabels())
def test_the_target_has_a_say_and_the_same_one_each_time(method: Any) -> None:
    nets = [network() for _ in range(3)]
    for (core, head), other in zip(nets, (target(), target(), target() // 3), strict=True):
        adapt(core, head, source(), other, method, **SHORT)
    one, again, elsewhere = (join(*net) for net in nets)
    assert same_weights(one, again)
    assert not same_weights(one, elsewhere)


@some_methods(DANN())
def test_on_cached_features_as_on_images(method: Any) -> None:
    backbone = toy_backbone(1)
    start = weights_of(backbone.model)
    freeze_to(backbone, 1)
    trunk, tail = split_at(backbone, 1)
    cached = [
        cache_features(trunk, each, cache_dir="memory") for each in (source(), Split(target(), np.zeros(20, np.int64)))
    ]
    head = build_head(backbone, 3, hidden=(5,), seed=1)
    adapt(tail, head, cached[0], cached[1].x, method, **SHORT)
    frozen = toy_backbone(1)  # the same on images
    freeze_to(frozen, 1)
    frozen_head = build_head(frozen, 3, hidden=(5,), seed=1)
    adapt(frozen.model, frozen_head, source(), target(), method, **SHORT)
    assert same_weights(join(frozen.model, frozen_head), join(backbone.model, head))
    moved = {path for path, weight in weights_of(frozen.model).items() if not np.array_equal(weight, start[path])}
    assert {path.split("/")[0] for path in moved} == {"two_a_conv", "two_b_conv"}  # beyond the frozen stage


# CORAL


@pytest.mark.parametrize("ridge", [0.0, 0.5])
def test_covariances_and_means_are_equal_afterwards(ridge: float) -> None:
    x, goal = features(60, 6, 0), features(45, 6, 1)
    moved = coral(x, goal, ridge=ridge).astype(np.float64)
    added = ridge * np.eye(6)
    # What the ridge adds to the source is moved with it.
    matrix = linalg.lstsq(x - x.mean(axis=0), moved - moved.mean(axis=0))[0]
    np.testing.assert_allclose(np.cov(moved.T) + matrix.T @ added @ matrix, np.cov(goal.T) + added, atol=1e-4)
    np.testing.assert_allclose(moved.mean(axis=0), goal.mean(axis=0), atol=1e-5)


def test_coral_is_that_of_the_paper_by_other_square_roots() -> None:
    x, goal = features(60, 6, 0), features(45, 6, 1)
    whiten = linalg.inv(linalg.sqrtm(np.cov(x.T) + np.eye(6)))
    wanted = (x - x.mean(axis=0)) @ whiten @ linalg.sqrtm(np.cov(goal.T) + np.eye(6)) + goal.mean(axis=0)
    np.testing.assert_allclose(coral(x, goal), wanted, atol=1e-4)


def test_coral_is_that_of_notebook_02() -> None:
    (source,) = build_notebooks.sources(["02"])
    cells = [cell.source for cell in build_notebooks.read_source(source).cells if cell.cell_type == "code"]
    space: dict[str, Any] = {"np": np, "linalg": linalg, "tlkit": tlkit}
    exec("\n".join(code for code in cells if code.startswith(("def power(", "def coral("))), space)
    parts = [Split(features(n, 6, n).astype(np.float32), np.zeros(n, np.int64)) for n in (60, 45)]
    np.testing.assert_allclose(space["coral"](*parts).x, coral(*(part.x for part in parts)), atol=1e-3)


def test_coral_against_skada() -> None:
    mapping = pytest.importorskip("skada._mapping")
    x, goal = features(60, 6, 0), features(45, 6, 1)
    theirs = mapping.CORALAdapter(reg=None)
    domains = np.repeat([1, -2], [60, 45])
    moved = theirs.fit_transform(np.concatenate([x, goal]), sample_domain=domains)[:60]
    mine = coral(x, goal, ridge=0) - goal.mean(axis=0)
    mine *= np.sqrt(60 / 59 * 44 / 45)  # their covariances divide by n, ours by n - 1
    np.testing.assert_allclose(moved, mine, rtol=1e-3, atol=1e-3)


def test_what_is_aligned_already_stays() -> None:
    x = features(60, 6, 0)
    np.testing.assert_allclose(coral(x, x[::-1]), x, atol=1e-4)
    np.testing.assert_allclose(coral(x[:, :1], x[:, :1]), x[:, :1], atol=1e-4)


def test_features_without_variance_do_no_harm() -> None:
    x, goal = features(60, 6, 0), features(45, 6, 1)
    x[:, 2], goal[:, 3] = 0, 0
    moved = coral(x, goal, ridge=0)
    assert np.isfinite(moved).all()
    assert np.allclose(moved[:, 3], 0, atol=1e-4)


def test_the_loss_is_the_distance_of_numpys_covariances() -> None:
    x, goal = features(9, 4, 0).astype(np.float32), features(7, 4, 1).astype(np.float32)
    wanted = ((np.cov(x.T) - np.cov(goal.T)) ** 2).sum() / (4 * 4**2)
    assert float(coral_loss(x, goal)) == pytest.approx(wanted, rel=1e-4)
    assert float(coral_loss(x, x + 3)) == pytest.approx(0, abs=1e-6)  # means do not count
    assert np.isfinite(float(coral_loss(x[:1], goal)))


def test_a_large_weight_brings_the_covariances_together() -> None:
    ends = []
    for weight in (0.0, 1e4):
        core, head = network(train_batchnorm=False)
        history = adapt(core, head, source(), target(24), DeepCoral(weight), **{**SHORT, "epochs": 8})
        ends.append(history["alignment"].iloc[-1])
    assert ends[1] < ends[0] / 2


# BatchNorm


def inputs_of(model: keras.Model, x: np.ndarray) -> list[tuple[keras.layers.Layer, np.ndarray]]:
    """What each BatchNorm layer takes when the model runs in inference mode."""
    layers = [layer for layer in model.layers if is_batchnorm(layer)]
    return [(layer, np.asarray(keras.Model(model.input, layer.input)(x, training=False))) for layer in layers]


@pytest.mark.parametrize("frozen", [True, False])
def test_statistics_are_those_of_the_targets_inputs(frozen: bool) -> None:
    model = toy_backbone(2).model
    model.trainable = not frozen
    flags = [layer.trainable for layer in model.layers]
    weights = [weight.numpy() for layer in model.layers for weight in layer.weights if "moving" not in weight.path]
    adapt_batchnorm(model, target())
    for layer, x in inputs_of(model, target()):
        axes = tuple(range(x.ndim - 1))
        np.testing.assert_allclose(layer.moving_mean, x.mean(axis=axes), atol=1e-4)
        np.testing.assert_allclose(layer.moving_variance, x.var(axis=axes), rtol=1e-3, atol=1e-4)
        assert layer.momentum != 0
    assert [layer.trainable for layer in model.layers] == flags
    same = [weight.numpy() for layer in model.layers for weight in layer.weights if "moving" not in weight.path]
    assert all(np.array_equal(a, b) for a, b in zip(weights, same, strict=True))
    again = [weight.numpy() for weight in model.weights]
    adapt_batchnorm(model, target())
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(again, model.get_weights(), strict=True))


def test_statistics_of_several_batches_are_pooled() -> None:
    model = toy_backbone(2).model
    adapt_batchnorm(model, target(21), batch_size=8)
    layer, x = inputs_of(model, target(21))[0]
    np.testing.assert_allclose(layer.moving_mean, x.mean(axis=(0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, x.var(axis=(0, 1, 2)), rtol=1e-3)


def test_tent_moves_scales_and_shifts_and_no_other_weight() -> None:
    core, head = network()
    core.trainable = False
    model = join(core, head)
    before = {weight.path: weight.numpy() for weight in model.weights}
    flags = [layer.trainable for layer in core.layers]
    told = tent(model, target(), learning_rate=0.05, epochs=6, batch_size=10, progress=False)
    moved = {weight.path for weight in model.weights if not np.array_equal(weight, before[weight.path])}
    assert moved
    assert all(path.rsplit("/")[-1] in ("gamma", "beta", "moving_mean", "moving_variance") for path in moved)
    assert any(path.endswith("gamma") for path in moved)
    assert any(path.endswith("beta") for path in moved)
    for layer, x in inputs_of(core, target()):
        np.testing.assert_allclose(layer.moving_mean, x.mean(axis=tuple(range(x.ndim - 1))), atol=1e-4)
    assert list(told) == ["epoch", "entropy"]
    assert told["entropy"].iloc[-1] < told["entropy"].iloc[0] <= np.log(3)
    assert [layer.trainable for layer in core.layers] == flags


# Labels of the target


@pytest.mark.parametrize("name", adaptation.__all__)
def test_no_function_takes_labels_of_the_target(name: str) -> None:
    parameters = inspect.signature(getattr(adaptation, name)).parameters
    assert not {"y", "labels", "target_labels", "target_y"} & set(parameters)
    if "target" in parameters and name != "coral_loss":
        assert parameters["target"].annotation == "Array"


@some_methods(DeepCoral())
def test_hiding_the_labels_changes_nothing(method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the functions make up in place of labels may be anything in range: no weight depends on it."""
    nets = [network() for _ in range(2)]
    adapt(*nets[0], source(), target(), method, **SHORT)
    tent(join(*nets[0]), target(), **SHORT)
    real = adaptation._unlabelled

    def others(model: keras.Model, given: object) -> Split:
        split = real(model, given)
        return Split(split.x, np.arange(len(split)) % 3)

    monkeypatch.setattr(adaptation, "_unlabelled", others)
    adapt(*nets[1], source(), target(), method, **SHORT)
    tent(join(*nets[1]), target(), **SHORT)
    assert same_weights(join(*nets[0]), join(*nets[1]))


def test_pseudo_labels_count_late_and_are_the_networks_own() -> None:
    """Early in the training they count nothing: half of the epochs, and each weight is as on the source alone."""
    core, head = network()
    plain, plain_head = network()
    adapt(core, head, source(), target(), PseudoLabels(5), **{**SHORT, "epochs": 1, "batch_size": 24})
    fit(join(plain, plain_head), source(), **{**SHORT, "epochs": 1, "batch_size": 24})
    assert same_weights(join(core, head), join(plain, plain_head))  # a single step, at the beginning


# Errors


@pytest.mark.parametrize(
    ("call", "fragments"),
    [
        (lambda: DANN(-1), ("weight must be 0 or more", "got -1")),
        (lambda: DANN(hidden=0), ("hidden must be an integer of 1 or more", "got 0")),
        (lambda: PseudoLabels(float("nan")), ("weight must be 0 or more", "got nan")),
        (lambda: DeepCoral("1"), ("weight must be 0 or more", "got '1'")),  # type: ignore[arg-type]
        (lambda: coral(np.ones((4, 2)), np.ones((4, 3))), ("the same features, got 2 and 3",)),
        (lambda: coral(np.ones((1, 2)), np.ones((4, 2))), ("examples of each domain", "2 or more, got 1")),
        (lambda: coral(np.full((4, 2), np.nan), np.ones((4, 2))), ("source must be finite",)),
        (lambda: coral(np.ones((4, 2)), np.ones((4, 2)), ridge=-1), ("ridge must be 0 or more", "got -1")),
        (lambda: coral(source(), target()), ("source must be an array of features", "pool_features")),  # type: ignore
        (lambda: coral_loss(np.ones((4, 2)), np.ones((4, 3))), ("(n, d) and (m, d)", "(4, 2), (4, 3)")),
    ],
)
def test_errors_of_functions_on_arrays(call: Callable[[], object], fragments: tuple[str, ...]) -> None:
    with raises_one_line(ValueError, *fragments):
        call()


def test_errors_come_before_any_training() -> None:
    core, head = network()
    before = join(core, head).get_weights()
    cases: list[tuple[Callable[[], object], tuple[str, ...]]] = [
        (
            lambda: adapt(core, head, source(), random_split(), DANN(), **SHORT),  # type: ignore[arg-type]
            ("target must be an array", "got Split", "give its x"),
        ),
        (
            lambda: adapt(core, head, source(), target()[:, :4], DANN(), **SHORT),
            ("examples must have the shape", "(8, 8, 1)", "got (4, 8, 1)"),
        ),
        (lambda: adapt(core, head, source(), target(), "dann", **SHORT), ("method must be a DANN", "'dann'")),  # type: ignore[arg-type]
        (lambda: adapt(core, head, source().x, target(), DANN(), **SHORT), ("source must be a Split",)),  # type: ignore[arg-type]
        (lambda: adapt(core, head, source(), target(), DANN(), **{**SHORT, "epochs": 0}), ("epochs", "got 0")),
        (
            lambda: adapt(core, head, source(), target(), DANN(), **SHORT, strategy="mirrored"),
            ("strategy must be None here", "'mirrored'"),
        ),
        (lambda: tent(join(core, head), target()[:1], learning_rate=0.1), ("2 examples or more", "got 1")),
        (lambda: tent(join(core, head), target(), learning_rate=0), ("learning_rate must be above 0", "got 0")),
        (lambda: adapt_batchnorm(head, target()), ("must have a BatchNorm layer", "'head'")),
        (lambda: adapt_batchnorm(core, target(), batch_size=1), ("batch_size", "2 or more", "got 1")),
    ]
    for call, fragments in cases:
        with raises_one_line(ValueError, *fragments):
            call()
    assert same_weights(before, join(core, head))


def test_a_frozen_core_has_nothing_to_align() -> None:
    core, head = network()
    core.trainable = False
    with raises_one_line(ValueError, "core must have a weight that learns", "coral moves frozen features"):
        adapt(core, head, source(), target(), DANN(), **SHORT)
    adapt(core, head, source(), target(), PseudoLabels(), **SHORT)  # the head can learn
