"""The graph of a model's features is made once, and anew where another one would give other features."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import random_split, toy_backbone

from tlkit import features
from tlkit._keras import keras, tf
from tlkit.domains import Split
from tlkit.features import cache_features, split_at


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The models of which a graph was made."""
    made: list[Any] = []
    compiled = features._compiled

    def noting(trunk: keras.Model, *more: Any) -> Any:
        made.append(trunk)
        return compiled(trunk, *more)

    monkeypatch.setattr(features, "_compiled", noting)
    return made


def small() -> keras.Model:
    image = keras.Input((8, 8, 1))
    start = keras.initializers.GlorotUniform(seed=1)
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(4, 3, activation="relu", kernel_initializer=start)(x)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))


def read(model: keras.Model) -> np.ndarray:
    return cache_features(model, random_split(6), cache_dir="memory").x


def test_one_graph_for_all_examples_and_all_weights(graphs: list[Any]) -> None:
    model = small()
    first = read(model)
    others = random_split(9, seed=1)
    found = cache_features(model, others, cache_dir="memory").x
    np.testing.assert_allclose(found, model(others.x, training=False), rtol=1e-5, atol=1e-6)
    kernel = model.layers[2].kernel
    kernel.assign(2 * kernel)
    np.testing.assert_allclose(read(model), 2 * first, rtol=1e-6)  # without a bias a ReLU passes the factor on
    model.trainable = False
    read(model)
    assert graphs == [model]


def other_scale(model: keras.Model) -> None:
    model.layers[1].scale = 1 / 127.5


def other_activation(model: keras.Model) -> None:
    model.layers[2].activation = keras.activations.tanh


def other_stride(model: keras.Model) -> None:
    model.layers[2].strides = (2, 2)


@pytest.mark.parametrize("change", [other_scale, other_activation, other_stride])
def test_a_layer_that_is_changed_counts(change: Callable[[keras.Model], None], graphs: list[Any]) -> None:
    model, other = small(), small()
    before = read(model)
    for each in (model, other):
        change(each)
    changed = read(model)
    assert not np.allclose(changed, before)
    np.testing.assert_array_equal(changed, read(other))  # which has no graph of the time before
    assert graphs == [model, model, other]


def adapt_again(model: keras.Model) -> None:
    model.layers[1].adapt(random_split(6, seed=5).x / 2)


def other_inner_activation(model: keras.Model) -> None:
    model.layers[3]._output_dense.activation = keras.activations.tanh


def other_shift(model: keras.Model) -> None:
    model.operations[4].shift = 2


def other_order(model: keras.Model) -> None:
    layer = model.layers[-1]
    layer.gamma, layer.beta = layer.beta, layer.gamma


def other_epsilon(model: keras.Model) -> None:
    keras.config.set_epsilon(100.0)


def other_mean(model: keras.Model) -> None:
    model.layers[1].mean = model.layers[1].mean + 30


def other_bound(model: keras.Model) -> None:
    model.operations[5].x_max = 0.3


CHANGES = [adapt_again, other_inner_activation, other_shift, other_order, other_epsilon, other_mean, other_bound]


@pytest.mark.parametrize("change", CHANGES)
def test_what_no_configuration_shows_counts(change: Callable[[keras.Model], None], tmp_path: Path) -> None:
    """``adapt`` sets tensors, which a graph holds as they were; the layers within a layer have no configuration."""
    image = keras.Input((8, 8, 1))
    scaled = keras.layers.Normalization()
    scaled.adapt(random_split(6).x)
    x = keras.layers.Reshape((8, 8))(scaled(image))
    x = keras.ops.roll(keras.layers.MultiHeadAttention(2, 3, seed=1)(x, x), 1, axis=2)
    x = keras.ops.clip(x, -9.0, 9.0)
    model = keras.Model(image, keras.layers.LayerNormalization()(x))
    before, epsilon = read(model), keras.config.epsilon()
    cache_features(model, random_split(6), cache_dir=tmp_path)
    try:
        change(model)
        right = model(random_split(6).x, training=False)
        assert not np.allclose(before, right, atol=1e-3)
        np.testing.assert_allclose(read(model), right, rtol=1e-4, atol=1e-5)
        # What is stored must not be found, and what is stored now must be of the model as it is.
        np.testing.assert_allclose(
            cache_features(model, random_split(6), cache_dir=tmp_path).x, right, rtol=1e-4, atol=1e-5
        )
    finally:
        keras.config.set_epsilon(epsilon)


def test_given_statistics_that_are_changed_count(tmp_path: Path) -> None:
    """``Normalization(mean=...)`` has no variable, and its configuration shows what it was given."""
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, keras.layers.Normalization(mean=2.0, variance=4.0)(image))
    pixels = random_split(6)
    np.testing.assert_allclose(cache_features(model, pixels, cache_dir=tmp_path).x, (pixels.x - 2.0) / 2, rtol=1e-6)
    for mean in (tf.constant([5.0]), np.full((1, 1, 1, 1), 6.0, np.float32)):
        model.layers[1].mean = mean
        found = cache_features(model, pixels, cache_dir=tmp_path).x
        np.testing.assert_allclose(found, (pixels.x - np.asarray(mean)) / 2, rtol=1e-6)


def test_epsilon_of_an_operation_counts(tmp_path: Path) -> None:
    image = keras.Input((4,))
    model = keras.Model(image, keras.ops.normalize(image))
    rows = Split(np.random.default_rng(0).random((5, 4), np.float32), np.zeros(5, int))
    norms = np.linalg.norm(rows.x, axis=1, keepdims=True)
    np.testing.assert_allclose(cache_features(model, rows, cache_dir=tmp_path).x, rows.x / norms, rtol=1e-5)
    epsilon = keras.config.epsilon()
    try:
        keras.config.set_epsilon(100.0)
        np.testing.assert_allclose(
            cache_features(model, rows, cache_dir=tmp_path).x, model(rows.x, training=False), rtol=1e-5
        )
        assert not np.allclose(model(rows.x), rows.x / norms)
    finally:
        keras.config.set_epsilon(epsilon)


def test_weights_that_are_other_variables_count() -> None:
    model = small()
    read(model)
    layer = model.layers[2]
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.ones(layer.lora_kernel_b.shape))
    np.testing.assert_allclose(read(model), model(random_split(6).x), rtol=1e-5)


class Switched(keras.layers.Layer):
    """Somebody's own layer, which reads what Keras knows nothing of."""

    factor = 1.0

    def call(self, x: Any) -> Any:
        return self.factor * x


@pytest.mark.filterwarnings("ignore:features are computed in each call:UserWarning")
def test_code_of_ones_own_is_run_anew(graphs: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    inner = small()
    model = keras.Model(inner.input, Switched()(inner.output))
    once = read(model)
    monkeypatch.setattr(Switched, "factor", 3.0)
    np.testing.assert_allclose(read(model), 3 * once, rtol=1e-6)
    assert graphs == [model, model]


def test_what_keras_cannot_write_down_is_run_anew(graphs: list[Any]) -> None:
    """A partial of Keras' own function is nobody's code, and has no configuration."""
    image = keras.Input((8, 8, 1))
    activation = functools.partial(keras.activations.relu, max_value=2.0)
    model = keras.Model(image, keras.layers.Conv2D(2, 3, activation=activation)(image))
    once = read(model)
    assert once.max() == 2
    model.layers[1].activation = functools.partial(keras.activations.relu, max_value=3.0)
    assert read(model).max() == 3
    assert graphs == [model, model]


def test_what_keras_cannot_write_down_is_not_stored_and_said_once(tmp_path: Path) -> None:
    image = keras.Input((8, 8, 1))
    activation = functools.partial(keras.activations.relu, max_value=2.0)
    model = keras.Model(image, keras.layers.Conv2D(2, 3, activation=activation)(image), name="of_a_partial")
    with pytest.warns(UserWarning, match="not stored: of_a_partial .* has no configuration"):
        assert cache_features(model, random_split(6), cache_dir=tmp_path).x.max() == 2
    model.layers[1].activation = functools.partial(keras.activations.relu, max_value=3.0)
    assert cache_features(model, random_split(6), cache_dir=tmp_path).x.max() == 3  # and a second warning is an error
    assert list(tmp_path.iterdir()) == []


def test_a_call_put_on_a_class_of_keras_is_run_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_said", set())
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, keras.layers.Rescaling(2.0)(image))
    once = cache_features(model, random_split(6), cache_dir=tmp_path).x
    monkeypatch.setattr(keras.layers.Rescaling, "call", lambda self, x: 3.0 * keras.ops.cast(x, "float32"))
    with pytest.warns(UserWarning, match="not stored: <lambda>"):
        found = cache_features(model, random_split(6), cache_dir=tmp_path).x
    np.testing.assert_allclose(found, 1.5 * once, rtol=1e-6)


def test_layers_that_change_places_count(tmp_path: Path) -> None:
    rows = keras.Input((5, 4))
    cells = [keras.layers.SimpleRNNCell(4, seed=seed) for seed in range(2)]
    model = keras.Model(rows, keras.layers.RNN(cells)(rows))
    split = Split(np.random.default_rng(0).random((6, 5, 4), np.float32), np.zeros(6, int))
    before = cache_features(model, split, cache_dir=tmp_path).x
    stacked = model.layers[-1].cell
    stacked.cells = stacked.cells[::-1]
    right = model(split.x, training=False)
    assert not np.allclose(before, right, atol=1e-3)
    np.testing.assert_allclose(cache_features(model, split, cache_dir=tmp_path).x, right, rtol=1e-5, atol=1e-6)


def test_a_table_of_words_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow keeps it, where no attribute shows it: it is read anew."""
    monkeypatch.setattr(features, "_said", set())
    table = keras.layers.IntegerLookup(num_oov_indices=1)
    table.adapt(np.array([3, 3, 3, 4, 4, 5]))
    ids = keras.Input((3,), dtype="int32")
    model = keras.Model(ids, keras.layers.Embedding(6, 2)(table(ids)))
    texts = Split(np.array([[3, 4, 5], [4, 4, 0]], np.int32), np.array([0, 1]))
    with pytest.warns(UserWarning, match="not stored: IntegerLookup"):
        before = cache_features(model, texts, cache_dir=tmp_path).x
    table.adapt(np.array([5, 5, 5, 4, 4, 3]))
    right = model(texts.x, training=False)
    assert not np.allclose(before, right)
    np.testing.assert_allclose(cache_features(model, texts, cache_dir=tmp_path).x, right, rtol=1e-6)


def test_images_of_another_kind_have_a_graph_of_their_own(graphs: list[Any]) -> None:
    trunk = split_at(toy_backbone(), 1)[0]
    pixels = random_split(6)
    floats = type(pixels)(pixels.x.astype(np.float32), pixels.y)
    for split in (pixels, floats, floats, pixels[:3]):
        np.testing.assert_allclose(
            cache_features(trunk, split, cache_dir="memory").x, trunk(split.x, training=False), rtol=1e-5, atol=1e-6
        )
    assert len(graphs) == 3  # the last kind alone is kept
