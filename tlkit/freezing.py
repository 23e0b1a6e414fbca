"""Freezing: which weights learn. The one place that owns the BatchNorm rule."""

from __future__ import annotations

from dataclasses import dataclass

from tlkit._keras import keras
from tlkit._keras.graph import all_layers
from tlkit.backbones import Backbone, layers_up_to

__all__ = ["WeightCounts", "count_weights", "freeze_to", "held_layers"]


@dataclass(frozen=True)
class WeightCounts:
    """Numbers of single weights, BatchNorm's moving statistics among the frozen ones."""

    trainable: int
    frozen: int


def freeze_to(backbone: Backbone, stage: int, *, train_batchnorm: bool = False) -> None:
    """Freeze stages 1 to ``stage``; the later stages learn.

    Each layer's own flag is set, whatever it was before. ``model.trainable = True`` alone would not do: when layers
    were frozen one by one the model's flag is still ``True``, the setter sees no change and returns early.

    BatchNorm stays frozen in the stages that learn too, unless ``train_batchnorm`` is true: a frozen BatchNorm layer
    runs in inference mode and keeps its moving statistics, while ``model(x, training=False)`` keeps nothing once
    ``fit`` calls the model anew. With few target examples their batch statistics are worse than the source's.

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
    frozen = {id(layer) for layer in layers_up_to(backbone, stage)}
    always = held_layers(backbone)
    backbone.model.trainable = True  # a model whose own flag is False reports no trainable weights at all
    for outer in backbone.model.layers:
        for layer in _with_inner_layers(outer):
            held = isinstance(layer, keras.layers.BatchNormalization) and not train_batchnorm
            layer.trainable = not (id(outer) in frozen or held or id(layer) in always)


def held_layers(backbone: Backbone) -> set[int]:
    """Identities of the layers that learn at no stage: where layers were added, all the others; else none."""
    if not backbone.added:
        return set()
    kept = [layer for layer in backbone.model.layers if layer.name not in backbone.added]
    return {id(inner) for layer in kept for inner in _with_inner_layers(layer)}


def _with_inner_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    # Outer before inner: setting a container's flag passes it on, and the inner ones are then set one by one.
    return all_layers(layer)


def count_weights(model: keras.Model) -> WeightCounts:
    """How many single weights ``fit`` would change, and how many it would leave."""

    def count(variables: list[keras.Variable]) -> int:
        return sum(int(variable.shape.num_elements() or 0) for variable in variables)

    trainable = count(model.trainable_weights)
    return WeightCounts(trainable=trainable, frozen=count(model.weights) - trainable)
