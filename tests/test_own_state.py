"""Layers that move without a gradient: SpectralNormalization, BatchNorm, and those of somebody's own."""

from typing import Any

import numpy as np
import pytest
from helpers import raises_one_line, random_split, same_weights, toy_backbone

from tlkit._keras import keras, tf
from tlkit.audit import Findings, audit_fit, diagnose
from tlkit.backbones import Backbone, wrap_backbone
from tlkit.backbones import graph as backbone_graph
from tlkit.domains import Split
from tlkit.efficient import add_adapters, add_biases, add_lora, remove_added
from tlkit.features import Form, cache_features, split_at
from tlkit.freezing import freeze_layers, freeze_to, only_learning, trainable_layers
from tlkit.heads import build_head, join
from tlkit.training import fit

L = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def spectral() -> Backbone:
    """Three stages, each a convolution within SpectralNormalization."""
    image = keras.Input((8, 8, 1))
    x = L.Rescaling(1 / 255)(image)
    for number in range(3):
        start = keras.initializers.GlorotUniform(seed=number)
        conv = L.Conv2D(4, 3, padding="same", activation="relu", kernel_initializer=start, name=f"conv{number}")
        x = L.SpectralNormalization(conv, name=f"spectral{number}")(x)
        # Drawn without a seed by Keras.
        vector = x._keras_history.operation.vector_u
        vector.assign(np.linspace(-1, 1, vector.shape[1], dtype=np.float32)[None])
    return wrap_backbone(keras.Model(image, x, name="spectral"), [f"spectral{number}" for number in range(3)])


def trained(backbone: Backbone, stage: int, *, cached: bool, strategy: str | None = None) -> list[np.ndarray]:
    freeze_to(backbone, stage)
    head = build_head(backbone, 3, seed=5)
    model, seen = join(backbone.model, head), random_split(20)
    if cached:
        trunk, tail = split_at(backbone, stage)
        model, seen = join(tail, head), cache_features(trunk, seen, cache_dir="memory")
    options: Any = {"optimizer": "sgd", "batch_size": 8, "seed": 1, "progress": False, "strategy": strategy}
    fit(model, seen, epochs=2, learning_rate=0.05, **options)
    return [*backbone.model.get_weights(), *head.get_weights()]


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_spectral_normalization_in_a_frozen_stage_stays_still(stage: int) -> None:
    """Bit by bit, and in the stages that learn it moves as before; cached training is full training."""
    backbone = spectral()
    before = backbone.model.get_weights()
    full, cached = trained(backbone, stage, cached=False), trained(spectral(), stage, cached=True)
    per_stage = len(before) // 3
    assert same_weights(before[: stage * per_stage], full[: stage * per_stage])
    assert stage == 3 or not same_weights(before[stage * per_stage :], full[stage * per_stage : len(before)])
    for one, other in zip(full, cached, strict=True):  # batches of another size may round otherwise
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)


def test_the_layer_within_is_frozen_with_it() -> None:
    """One by one, too: of the two, which share a kernel, the inner one can be named."""
    backbone = spectral()
    inner = "spectral0/conv0"
    assert inner in trainable_layers(backbone)
    assert "spectral0" not in trainable_layers(backbone)
    freeze_layers(backbone, [inner])
    before = backbone.model.get_weights()
    model = join(backbone.model, build_head(backbone, 3))
    fit(model, random_split(), epochs=1, learning_rate=0.1, progress=False)
    per_stage = len(before) // 3
    assert same_weights(before[:per_stage], backbone.model.get_weights()[:per_stage])
    assert not same_weights(before[per_stage:], backbone.model.get_weights()[per_stage:])
    table = audit_fit(model, random_split(), backbone=backbone)
    assert set(table["verdict"]) == {"learns, as meant", "still, as meant"}


def test_it_stays_still_on_several_devices() -> None:
    """A clone is trained there."""
    backbone = spectral()
    before = backbone.model.get_weights()
    trained(backbone, 2, cached=False, strategy="mirrored")
    assert same_weights(before[:6], backbone.model.get_weights()[:6])


def test_it_moves_again_once_it_learns_again() -> None:
    backbone, plain = spectral(), spectral()
    freeze_to(backbone, 3)
    freeze_to(backbone, 0)
    x = tf.constant(random_split(4).x)
    np.testing.assert_array_equal(backbone.model(x, training=True), plain.model(x, training=True))
    assert same_weights(backbone.model, plain.model)
    assert not same_weights(plain.model, spectral().model)
    with only_learning(plain.model, lambda layer: False):
        still = plain.model.get_weights()
        plain.model(x, training=True)
        assert same_weights(still, plain.model)


def test_freezing_changes_no_form() -> None:
    """Or what is kept of a network would be lost when it is frozen."""
    backbone = spectral()
    before = Form(backbone.model)
    freeze_to(backbone, 2)
    assert before.same(Form(backbone.model))


def test_the_audit_sees_it_still() -> None:
    backbone = spectral()
    freeze_to(backbone, 2)
    model = join(backbone.model, build_head(backbone, 3))
    table = audit_fit(model, random_split(), backbone=backbone, intended_stage=2)
    assert set(table["verdict"]) == {"learns, as meant", "still, as meant"}
    assert (table["max_abs_change"][table["meant"] == "frozen"] == 0).all()


# Why something moves


def found(backbone: Backbone, intended_stage: int | None, *, named: bool = True) -> Findings:
    model = join(backbone.model, build_head(backbone, 3))
    model.compile(keras.optimizers.SGD(0.1), LOSS, jit_compile=False)
    given = {"backbone": backbone, "intended_stage": intended_stage} if named else {}
    return diagnose(model, random_split(), **given)


@pytest.mark.parametrize("named", [True, False])
def test_diagnose_says_that_no_flag_holds_spectral_normalization(named: bool) -> None:
    backbone = spectral()
    for layer in backbone.model.layers[:-1]:
        layer.trainable = False
    (finding,) = found(backbone, 2, named=named)
    assert finding.rule == "weights-move-while-frozen"
    assert (
        "whatever a flag says, each training step renews the own state of spectral/spectral0" in finding.evidence
        or (
            "whatever a flag says, each training step renews the own state of spectral0, spectral1 ("
            in finding.evidence
        )
    )
    freeze_to(backbone, 2)
    assert not found(backbone, 2, named=named)


class Counting(keras.layers.Layer):
    """It counts what it has seen, and asks no flag."""

    def build(self, shape: Any) -> None:
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x: Any) -> Any:
        self.seen.assign_add(1.0)
        return x + 0 * self.seen


def test_diagnose_says_that_no_flag_holds_a_layer_that_counts() -> None:
    image = keras.Input((8, 8, 1))
    x = L.Conv2D(4, 3, name="two")(Counting(name="counting")(L.Conv2D(4, 3, name="one")(image)))
    backbone = wrap_backbone(keras.Model(image, x), ["counting", "two"])
    freeze_to(backbone, 1)
    (finding,) = found(backbone, 1)
    assert finding.rule == "batchnorm-moves-while-frozen"
    assert "each training step renews the own state of counting (" in finding.evidence


def test_diagnose_names_batchnorm_beside_added_layers() -> None:
    """And does not say of the layers that added ones hold that they were meant to learn."""
    added = add_lora(toy_backbone(), rank=1)
    assert not found(added, 0)
    for layer in added.model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = True
    findings = {finding.rule: finding.evidence for finding in found(added, 0)}
    assert set(findings) == {"weights-move-while-frozen", "batchnorm-moves-after-unfreezing"}
    assert "3 layers meant to be frozen" in findings["weights-move-while-frozen"]
    for evidence in findings.values():
        assert "one_bn, two_a_bn, two_b_bn" in evidence
        assert "renews" not in evidence


# Undoing what was added


@pytest.mark.parametrize("kind", ["batchnorm that learns", "everything learns", "spectral"])
def test_removing_gives_back_the_backbone_whatever_has_moved(kind: str) -> None:
    backbone = spectral() if kind == "spectral" else toy_backbone()
    before = backbone.model.get_weights()
    added = add_adapters(backbone, width=2, layers=["spectral1"] if kind == "spectral" else None)
    for layer in added.model.layers:
        if kind == "everything learns" or isinstance(layer, L.BatchNormalization):
            layer.trainable = True
    held = [layer for layer in added.model.layers if layer.name not in added.added]
    start = [weight.numpy() for layer in held for weight in layer.weights]
    fit(join(added.model, build_head(added, 3)), random_split(), epochs=1, learning_rate=0.1, progress=False)
    moved = not same_weights(start, [weight.numpy() for layer in held for weight in layer.weights])
    assert moved == (kind != "spectral")
    assert same_weights(before, remove_added(added).model)
    assert same_weights(before, backbone.model)


# What is refused


class NoName(keras.layers.Layer):
    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def call(self, x: Any) -> Any:
        return self.factor * x


class SaysNoName(keras.layers.Layer):
    def __init__(self, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.dense = L.Dense(width)

    def build(self, shape: Any) -> None:
        self.dense.build(shape)

    def call(self, x: Any) -> Any:
        return self.dense(x)


def around(layer: keras.layers.Layer) -> Backbone:
    image = keras.Input((8, 8, 1))
    x = L.Conv2D(4, 3, name="two")(layer(L.Conv2D(4, 3, name="one")(image)))
    return wrap_backbone(keras.Model(image, x, name="around"), ["one", "two"])


@pytest.mark.parametrize(
    ("layer", "fragment"), [(lambda: NoName(2), "NoName"), (lambda: L.Lambda(lambda x: 2 * x), "Lambda")]
)
def test_layers_are_not_added_beside_one_that_cannot_be_made_anew(layer: Any, fragment: str) -> None:
    for add, options in ((add_lora, {"rank": 1}), (add_adapters, {"layers": ["one"]})):
        with raises_one_line(ValueError, "must be of layers that Keras can make anew", "'around'", fragment):
            add(around(layer()), **options)


def test_layers_are_added_beside_one_that_does_not_write_its_name() -> None:
    backbone = around(SaysNoName(4))
    added = add_lora(backbone, rank=1)
    x = random_split(4).x.astype(np.float32)
    np.testing.assert_array_equal(added.model(x), backbone.model(x))
    assert same_weights(backbone.model, remove_added(added).model)


def test_lora_within_spectral_normalization_is_refused() -> None:
    with raises_one_line(
        ValueError, "backbone must have dense layers or convolutions", "got 'spectral', which has none"
    ):
        add_lora(spectral())


class Twice(L.Dense):
    def call(self, x: Any, training: Any = None) -> Any:
        return 2 * super().call(x)


def test_lora_goes_around_layers_of_keras_alone() -> None:
    """Merged, ``A B`` would count twice in this one: the outputs were no longer those that were trained."""
    entry = keras.Input((4,))
    x = L.Dense(4, name="plain")(Twice(4, name="twice")(entry))
    backbone = wrap_backbone(keras.Model(entry, x, name="net"), ["twice", "plain"])
    assert "twice_lora" not in add_lora(backbone, rank=1).added
    with raises_one_line(ValueError, "dense layers or convolutions of Keras", "'plain'", "got 'twice'"):
        add_lora(backbone, rank=1, layers=["twice"])
    with raises_one_line(ValueError, "layers with a bias", "'plain'", "got 'twice'"):
        add_biases(backbone, layers=["twice"])


def test_a_stateful_layer_is_refused() -> None:
    sequence = keras.Input(batch_shape=(4, 5, 3))
    model = keras.Model(sequence, L.GRU(2, stateful=True, name="memory")(sequence))
    with raises_one_line(ValueError, "an answer of its own", "'memory'", "stateful"):
        wrap_backbone(model, ["memory"])
    with raises_one_line(ValueError, "an answer of its own", "'memory'", "stateful"):
        cache_features(model, Split(np.ones((4, 5, 3), np.float32), np.zeros(4, int)))


@pytest.mark.parametrize("able", [True, False])
def test_channels_first_is_refused_where_it_cannot_run(able: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pooling and depthwise convolutions run anywhere: Keras turns their images around."""
    monkeypatch.setattr(backbone_graph, "_runs_channels_first", lambda: able)
    image = keras.Input((2, 8, 8))
    x = L.DepthwiseConv2D(3, data_format="channels_first")(L.MaxPooling2D(data_format="channels_first")(image))
    wrap_backbone(keras.Model(image, x), [x._keras_history.operation.name])
    model = keras.Model(image, L.Conv2D(2, 1, data_format="channels_first", name="first")(x), name="net")
    if able:
        wrap_backbone(model, ["first"])
        return
    with raises_one_line(ValueError, "must be channels_last", "no GPU", "'first' in 'net'"):
        wrap_backbone(model, ["first"])
    with raises_one_line(ValueError, "must be channels_last", "no GPU", "'first' in 'net'"):
        fit(model, Split(np.ones((4, 2, 8, 8), np.float32), np.zeros(4, int)), epochs=1, learning_rate=0.1)


def test_whether_channels_first_runs_is_known() -> None:
    """The oracle is the layer itself."""
    layer = L.Conv2D(2, 3, data_format="channels_first")
    try:
        layer(np.ones((1, 2, 8, 8), np.float32))
        runs = True
    except Exception:  # TensorFlow's, which Keras wraps or not
        runs = False
    assert backbone_graph._runs_channels_first() == runs
