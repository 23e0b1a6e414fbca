"""Freezing: which weights learn. The one place that owns the BatchNorm rule."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from tlkit._keras import keras
from tlkit._keras.graph import all_layers, own_weights
from tlkit._keras.state import heed_flag, learner
from tlkit.backbones import Backbone, stage_layers

__all__ = [
    "OneAtATime",
    "WeightCounts",
    "check_names",
    "copy_flags",
    "count_weights",
    "flags_of",
    "freeze_layers",
    "freeze_to",
    "held_layers",
    "is_batchnorm",
    "only_learning",
    "trainable_layers",
    "unfreeze",
]


@dataclass(frozen=True)
class WeightCounts:
    """Numbers of single weights, BatchNorm's moving statistics among the frozen ones."""

    trainable: int
    frozen: int


class OneAtATime:
    """Within it the weights belong to one training: a second one that would move any of them is refused.

    Two networks may share weights without being one model, so each weight counts by itself.

    Args:
        what: How the error calls them.
        weights: Those that this training may move.

    Raises:
        RuntimeError: On entering: one of them is being trained already.
    """

    _lock = threading.Lock()
    _moving: ClassVar[set[int]] = set()  # identities, of weights that whoever is within holds

    def __init__(self, what: str, weights: Sequence[keras.Variable]) -> None:
        self._what, self._weights = what, list(weights)

    def __enter__(self) -> None:
        own = {id(weight) for weight in self._weights}
        with self._lock:
            if own & self._moving:
                raise RuntimeError(
                    f"one training at a time: weights of {self._what!r} are being trained already, stop that run or "
                    "wait for it first."
                )
            self._moving.update(own)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._moving.difference_update(id(weight) for weight in self._weights)


def freeze_to(backbone: Backbone, stage: int, *, train_batchnorm: bool = False) -> None:
    """Freeze stages 1 to ``stage``; the later stages learn.

    Each layer's own flag is set, whatever it was before. ``model.trainable = True`` alone would not do: when layers
    were frozen one by one the model's flag is still ``True``, the setter sees no change and returns early.

    BatchNorm stays frozen in the stages that learn too, unless ``train_batchnorm`` is true: a frozen BatchNorm layer
    runs in inference mode and keeps its moving statistics, while ``model(x, training=False)`` keeps nothing once
    ``fit`` calls the model anew. With few target examples their batch statistics are worse than the source's.

    SpectralNormalization, which renews its kernel in each training step whatever its flag says, is made to heed it.
    That lasts as long as the layer: in a copy, or saved and loaded, it has to be frozen by this function again.

    In a backbone that :mod:`tlkit.efficient` has added layers to, only these learn in the later stages; the pretrained
    layers stay frozen at every stage, BatchNorm included.

    Dropout is no matter of freezing: in training it drops in frozen stages too. Cached features have none of it
    (:func:`tlkit.features.cache_features` runs in inference mode), so with dropout in frozen stages the two trainings
    differ; with dropout in the stages that learn alone they are equal.

    Changes take effect at the next compile; :func:`tlkit.training.fit` always compiles.

    Args:
        stage: 0 trains everything, ``backbone.n_stages`` freezes everything (feature extraction).
        train_batchnorm: Let BatchNorm learn, and move its statistics, in the stages that learn.

    Raises:
        ValueError: ``stage`` is out of range.
    """
    backbone.check_stage(stage)
    _set_flags(backbone, lambda _, of: of > stage, train_batchnorm)


def freeze_layers(backbone: Backbone, names: Collection[str], *, train_batchnorm: bool = False) -> None:
    """Freeze the layers named, and let all others learn.

    It is :func:`freeze_to` when the names are those of stages 1 to ``stage``. BatchNorm learns, with
    ``train_batchnorm``, in each stage where a layer learns.

    Args:
        names: Of :func:`trainable_layers`.
        train_batchnorm: See :func:`freeze_to`.

    Raises:
        ValueError: A name is none of them.
    """
    layers = trainable_layers(backbone)
    check_names(names, layers)
    _set_flags(backbone, _all_but(names, layers), train_batchnorm)


def flags_of(backbone: Backbone, names: Collection[str], *, train_batchnorm: bool = False) -> dict[str, bool]:
    """The flags that :func:`freeze_layers` would set, by the layers' paths."""
    learns = _all_but(names, trainable_layers(backbone))
    return {layer.path: flag for layer, flag in _flags(backbone, learns, train_batchnorm)}


def _all_but(names: Collection[str], layers: dict[str, int]) -> Callable[[keras.layers.Layer, int], bool]:
    learning = {stage for path, stage in layers.items() if path not in names}
    return lambda layer, stage: layer.path not in names if layer.path in layers else stage in learning


def trainable_layers(backbone: Backbone) -> dict[str, int]:
    """The layers that can be frozen one by one, by path, with the stage of each, from the input to the output.

    They have weights. BatchNorm is left out, which has a switch of its own, and SpectralNormalization, which learns
    with the layer within it; where layers were added (:mod:`tlkit.efficient`), so are all others.
    """
    held = held_layers(backbone)
    return {
        layer.path: stage
        for stage, layers in stage_layers(backbone).items()
        for layer in layers
        if own_weights(layer) and not is_batchnorm(layer) and id(layer) not in held and learner(layer) is layer
    }


def check_names(names: Collection[str], layers: Collection[str]) -> None:
    """Raise ``ValueError`` unless each name is one of the layers that can learn."""
    if unknown := sorted(set(names) - set(layers)):
        raise ValueError(f"frozen layers must be of the {len(layers)} that can learn, got {unknown[0]!r}.")


def _flags(
    backbone: Backbone, learns: Callable[[keras.layers.Layer, int], bool], train_batchnorm: bool
) -> Iterator[tuple[keras.layers.Layer, bool]]:
    """Each layer and its flag, given what learns beside BatchNorm and held layers; outer layers before inner ones."""
    held = held_layers(backbone)
    for stage, layers in stage_layers(backbone).items():
        for layer in layers:
            still = id(layer) in held or (is_batchnorm(layer) and not train_batchnorm)
            yield layer, learns(learner(layer), stage) and not still


def _set_flags(backbone: Backbone, learns: Callable[[keras.layers.Layer, int], bool], train_batchnorm: bool) -> None:
    backbone.model.trainable = True  # a model whose own flag is False reports no trainable weights at all
    # A container's flag is passed on to its layers, which have theirs afterwards.
    for layer, flag in _flags(backbone, learns, train_batchnorm):
        layer.trainable = flag
        heed_flag(layer)


def unfreeze(model: keras.Model) -> None:
    """Let every layer of the model learn, BatchNorm and nested ones too."""
    for layer in all_layers(model):
        layer.trainable = True


@contextlib.contextmanager
def only_learning(model: keras.Model, learns: Callable[[keras.layers.Layer], bool]) -> Iterator[None]:
    """Within it each layer's own flag is what ``learns`` says; afterwards it is what it was."""
    layers = all_layers(model)
    before = [(layer, layer.trainable) for layer in layers]
    try:
        model.trainable = True  # a model whose own flag is False reports no trainable weights at all
        for layer in layers:
            if not isinstance(layer, keras.Model):  # a model's flag is passed on to its layers, and stays True
                layer.trainable = learns(layer)
                heed_flag(layer)
        yield
    finally:
        for layer, flag in before:  # outer ones first, as their flags are passed on
            layer.trainable = flag


def copy_flags(model: keras.Model, clone: keras.Model) -> None:
    """Let the same layers learn in a clone as in the model."""
    for original, copied in zip(all_layers(model), all_layers(clone), strict=True):
        copied.trainable = original.trainable
        heed_flag(copied)


def held_layers(backbone: Backbone) -> set[int]:
    """Identities of the layers that learn at no stage: where layers were added, all the others; else none."""
    if not backbone.added:
        return set()
    kept = [layer for layer in backbone.model.layers if layer.name not in backbone.added]
    return {id(inner) for layer in kept for inner in all_layers(layer)}


def is_batchnorm(layer: keras.layers.Layer) -> bool:
    """Whether the layer normalises by statistics that move while it trains: the one kind with a switch of its own."""
    return isinstance(layer, keras.layers.BatchNormalization)


def count_weights(model: keras.Model) -> WeightCounts:
    """How many single weights ``fit`` would change, and how many it would leave."""

    def count(variables: list[keras.Variable]) -> int:
        return sum(int(variable.shape.num_elements() or 0) for variable in variables)

    trainable = count(model.trainable_weights)
    return WeightCounts(trainable=trainable, frozen=count(model.weights) - trainable)
