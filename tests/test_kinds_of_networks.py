"""Saved networks of many kinds: cut, cached, audited and exported, each is what it was when it was saved."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import KERAS_SAVES_WITH_A_WARNING, raises_one_line, random_split, same_weights
from kinds_of_networks import APPLICATIONS, KINDS, LENGTH, REFUSED, WORDS, Kind
from marks import in_bank

from tlkit._keras import keras
from tlkit._keras.graph import all_layers
from tlkit._keras.start import onednn_is_on
from tlkit._keras.state import random_states_kept
from tlkit.audit import audit_fit
from tlkit.backbones import Backbone, find_boundaries, wrap_backbone
from tlkit.domains import Array, Split
from tlkit.export import export_model, load_exported, load_safely
from tlkit.features import cache_features, split_at
from tlkit.freezing import freeze_to
from tlkit.heads import build_head, join
from tlkit.training import fit

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)

# `make test` keeps these.
SAMPLE = ("sequential", "a base within", "dropout in the last stage", "text: mean of words with a mask")
# A number passes through some hundred operations, and then through a step's gradients, each of which rounds it.
OPERATIONS = 1000


@pytest.fixture(autouse=True)
def memory_given_back() -> Iterator[None]:
    yield
    keras.backend.clear_session()
    gc.collect()


def made(kind: Kind, data: Split | None = None) -> keras.Model:
    """The network as after a training: random weights, no two channels alike, and statistics of what passes through."""
    with random_states_kept():
        keras.utils.set_random_seed(0)
        model = kind.build()
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if np.ptp(weight.numpy()) == 0 and keras.backend.is_float_dtype(weight.dtype):  # zeros or ones
            weight.assign(weight + 0.1 * rng.normal(size=weight.shape))
    norms = [layer for layer in all_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]
    if norms:
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 0.1  # no variance near 0, which would blow up what comes later
        model(as_given(model, data_for(model).x), training=True)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    return model


def data_for(model: keras.Model) -> Split:
    shape = model.inputs[0].shape[1:]
    if len(shape) > 1:
        split = random_split(12, shape=tuple(size or 16 for size in shape))
        if shape[-1] > 1:
            return split
        x = split.x.copy()
        x[:, -3:] = 0  # digits are black at the border
        return Split(x, split.y)
    rng = np.random.default_rng(5)
    ids = rng.integers(1, WORDS, (12, LENGTH)).astype(np.int32)
    ids[np.arange(LENGTH) >= rng.integers(2, LENGTH + 1, (12, 1))] = 0
    return Split(ids, np.arange(12) % 3)


def answers(model: keras.Model, x: Any) -> Array:
    (answer,) = keras.tree.flatten(model(as_given(model, x), training=False))
    return np.asarray(answer)


def as_given(model: keras.Model, x: Any) -> Any:
    """An input in a list is called with a list: Keras warns otherwise."""
    return [x] if not isinstance(model, keras.Sequential) and isinstance(model.input, list) else x


def saved(model: keras.Model, folder: Path) -> Path:
    model.save(folder / "network.keras")
    return folder / "network.keras"


@pytest.mark.parametrize("name", in_bank(KINDS, but=SAMPLE))
def test_a_saved_network_is_cut_cached_audited_and_exported(name: str, tmp_path: Path) -> None:
    kind, large = KINDS[name], name in APPLICATIONS
    model = made(kind)
    network = load_safely(saved(model, tmp_path))
    assert same_weights(network, model)
    data = data_for(network)
    backbone = wrap_backbone(network)
    assert_cut_exactly(backbone, network, data.x[:4])
    if not large:  # at each layer where it can be cut, too
        assert_cut_exactly(wrap_backbone(network, find_boundaries(network)), network, data.x[:4])
    last = backbone.n_stages
    for stage in {max(last - 1, 1)} if large else sorted({1, max(last - 1, 1), last}):
        whole = assert_cached_training_is_full_training(backbone, stage, data, kind)
        assert_audit_puts_back(whole, backbone, stage, data)
    if not large:
        untrained = join(backbone.model, build_head(backbone, 3))
        assert_audit_puts_back(untrained, backbone, stage, data)
        untrained.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
        assert_audit_puts_back(untrained, backbone, stage, data)
    file = tmp_path / "exported.keras"
    if kind.not_exported:
        with raises_one_line(ValueError, *kind.not_exported):
            export_model(whole, file, classes=("a", "b", "c"))
        return
    export_model(whole, file, classes=("a", "b", "c"))
    told = keras.ops.softmax(whole(data.x, training=False))
    np.testing.assert_allclose(answers(load_exported(file).model, data.x), told, rtol=0, atol=1e-6)


def assert_cut_exactly(backbone: Backbone, network: keras.Model, x: Array) -> None:
    whole = answers(network, x)
    for stage in range(backbone.n_stages + 1):
        trunk, tail = split_at(backbone, stage)
        assert {id(w) for w in [*trunk.weights, *tail.weights]} == {id(w) for w in network.weights}
        features = answers(trunk, x)
        np.testing.assert_array_equal(answers(tail, features), whole)


def assert_cached_training_is_full_training(backbone: Backbone, stage: int, data: Split, kind: Kind) -> keras.Model:
    """The whole model, trained; the backbone has then the weights that it came with again."""
    start = [variable.numpy() for variable in backbone.model.variables]
    freeze_to(backbone, stage)
    trunk, tail = split_at(backbone, stage)
    still = [weight.numpy() for weight in trunk.weights]
    ended = []
    for cached in (True, False):
        for variable, value in zip(backbone.model.variables, start, strict=True):
            variable.assign(value)
        head = build_head(backbone, 3, seed=5)
        begun = [*backbone.model.get_weights(), *head.get_weights()]
        model, seen = join(backbone.model, head), data
        if cached:
            model, seen = join(tail, head), cache_features(trunk, data, cache_dir="memory")
        fit(model, seen, epochs=1, batch_size=6, learning_rate=0.01, optimizer="sgd", seed=3, progress=False)
        ended.append([*backbone.model.get_weights(), *head.get_weights()])
        assert same_weights(still, [weight.numpy() for weight in trunk.weights])
    steps, apart = (norm_of_differences(each, ended[1]) for each in (begun, ended[0]))
    if 0 < kind.drops <= stage:
        assert apart > OPERATIONS * kind.eps * steps
        return model
    if onednn_is_on() and not kind.rounds and not data.is_text:
        assert same_weights(*ended), f"{apart:.3g} apart after steps of {steps:.3g}"
    assert apart <= OPERATIONS * kind.eps * steps
    return model


def norm_of_differences(some: list[Array], others: list[Array]) -> float:
    return float(np.sqrt(sum(np.sum((np.float64(a) - b) ** 2) for a, b in zip(some, others, strict=True))))


def assert_audit_puts_back(model: keras.Model, backbone: Backbone, stage: int, data: Split) -> None:
    def state() -> tuple[list[bytes], list[bool]]:
        variables = list(model.variables)
        if model.compiled:
            variables += [*model.optimizer.variables, *(v for metric in model.metrics for v in metric.variables)]
        return [variable.numpy().tobytes() for variable in variables], [layer.trainable for layer in all_layers(model)]

    before = state()
    table = audit_fit(model, data, backbone=backbone, intended_stage=stage, batch_size=6)
    assert state() == before
    assert not table["verdict"].str.contains("meant to be frozen|NaN").any(), table
    assert table["weights_moved"].any()


@pytest.mark.parametrize("name", REFUSED)
def test_a_saved_network_that_cannot_be_used_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    build, step, fragments = REFUSED[name]
    path = saved(build(), tmp_path)
    if step == "load":
        with raises_one_line(ValueError, *fragments):
            load_safely(path)
        return
    network = load_safely(path)
    if step == "wrap":
        with raises_one_line(ValueError, *fragments):
            wrap_backbone(network)
        return
    backbone = wrap_backbone(network)
    with raises_one_line(ValueError, *fragments):
        build_head(backbone, 3)
