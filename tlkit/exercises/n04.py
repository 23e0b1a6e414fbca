"""Notebook 04: what a cache saves, an audit by hand, and a training whose frozen part runs once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tlkit._keras import keras
from tlkit.exercises.answers import SECONDS, check_numbers
from tlkit.grading.checks import call_student


def check_1(answer: Any) -> None:
    """Endless epochs would save no more than three times: what learns is paid for in each epoch."""
    epochs, trunk, learns = 10, 60, 9 + 1
    whole, cached = epochs * (trunk + 3 * learns), trunk + epochs * 3 * learns
    hint = "What learns costs three passes per epoch, and the trunk costs one: with the cache, one in all (section 5)."
    check_numbers(answer, whole / cached, tolerance=1e-3, hint=hint)


def check_2(answer: Any) -> None:
    """It looks at weights alone, so neither a flag nor BatchNorm's statistics, which no gradient moves, can fool it."""
    for name, train, wanted in _TRAININGS:
        model = _network(seed=42)
        model.compile(keras.optimizers.SGD(0.1), _LOSS)
        got = call_student(answer, (model, train), kind=object, reread="section 1", seconds=SECONDS)
        try:
            names = {str(each) for each in got}
        except TypeError:
            raise AssertionError(f"moved_layers must return a list of names, got a {type(got).__name__}.") from None
        if names != wanted:
            moved, listed = (", ".join(sorted(each)) or "no layer" for each in (wanted, names))
            raise AssertionError(f"{name}, {moved} moved, but you list {listed}.")


def check_3(answer: Any) -> None:
    """The weights are those of the long way, where the frozen part ran in each epoch: a cache changes only the time."""
    (x, y), name, epochs = _data(), "block_1", 3
    wanted = _trained_whole(name, epochs)  # before the answer, which may set Keras' own switches
    cut = _network(seed=43, counts=True)
    call_student(answer, (cut, name, x, y, epochs), kind=object, reread="section 8", seconds=SECONDS)
    seen = int(cut.get_layer("counter").seen.numpy())
    if seen > len(x):
        raise AssertionError(f"the frozen part must run once on each of the {len(x)} examples, but it ran on {seen}.")
    for layer, whole in zip(cut.layers, wanted, strict=True):
        pairs = zip(layer.get_weights(), whole, strict=True)
        if layer.name != "counter" and not all(np.allclose(one, two, atol=1e-5) for one, two in pairs):
            raise AssertionError(f"after training, {layer.name!r} must have the weights that the whole model gets.")


_LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _data() -> tuple[Any, Any]:
    x = np.random.default_rng(40).normal(2, 3, size=(48, 5)).astype("float32")
    return x, np.arange(48) % 3


class _Counter(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Passes on what it gets, and counts the examples."""

    def build(self, shape: Any) -> None:
        self.seen = self.add_weight(name="seen", shape=(), dtype="int32", initializer="zeros", trainable=False)

    def call(self, x: Any) -> Any:
        self.seen.assign_add(keras.ops.shape(x)[0])
        return x

    def compute_output_spec(self, x: Any) -> Any:
        return keras.KerasTensor(x.shape, x.dtype)


def _network(seed: int, *, counts: bool = False) -> keras.Model:
    """Two blocks of Dense, BatchNorm and ReLU, and a layer for the logits; a first one may count what passes."""
    starts = [keras.initializers.HeNormal(seed=10 * seed + i) for i in range(3)]
    x = numbers = keras.Input((5,))
    if counts:
        x = _Counter(name="counter")(x)
    for i in (1, 2):
        x = keras.layers.Dense(6, kernel_initializer=starts[i], name=f"dense_{i}")(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"norm_{i}")(x)
        x = keras.layers.ReLU(name=f"block_{i}")(x)
    return keras.Model(numbers, keras.layers.Dense(3, kernel_initializer=starts[0], name="logits")(x))


def _trained_whole(name: str, epochs: int) -> list[Any]:
    """The weights of each layer after a training in which the frozen part runs in each epoch.

    Made for each answer: Keras' switches, such as its ``dtype_policy``, may be others by the next one.
    """
    (x, y), model = _data(), _network(seed=43, counts=True)
    end = [layer.name for layer in model.layers].index(name)
    for place, layer in enumerate(model.layers):
        layer.trainable = place > end and not isinstance(layer, keras.layers.BatchNormalization)
    model.compile("sgd", _LOSS, run_eagerly=True)  # a graph would take longer to make than to run
    model.fit(x, y, batch_size=16, epochs=epochs, shuffle=False, verbose=0)
    return [layer.get_weights() for layer in model.layers]


def _nothing(model: keras.Model) -> None:
    pass


def _at_rate_zero(model: keras.Model) -> None:
    model.optimizer.learning_rate, model.run_eagerly = 0.0, True
    model.fit(*_data(), verbose=0)


def _flag_too_late(model: keras.Model) -> None:
    model.fit(*_data(), verbose=0)
    model.get_layer("dense_1").trainable = False
    model.fit(*_data(), verbose=0)


_NORMS = {"norm_1", "norm_2"}
_DENSE = {"dense_1", "dense_2", "logits"}
_TRAININGS: tuple[tuple[str, Callable[[keras.Model], None], set[str]], ...] = (
    ("where nothing is trained", _nothing, set()),
    ("at the rate zero", _at_rate_zero, _NORMS),
    ("with a flag that was set too late", _flag_too_late, _NORMS | _DENSE),
)
