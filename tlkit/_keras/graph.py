"""How Keras keeps layers within layers, and the calls that make up a functional model's graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit._keras.start import keras

__all__ = [
    "Call",
    "all_layers",
    "call_of",
    "calls",
    "calls_of",
    "functional",
    "inner_layers",
    "layers_within",
    "not_finite",
    "own_statistics",
    "own_weights",
]


def _flat(layer: keras.layers.Layer, *, itself: bool, recursive: bool) -> list[keras.layers.Layer]:
    # Keras lists the layers of a model, but not those that a layer has as attributes.
    return list(layer._flatten_layers(include_self=itself, recursive=recursive))


def all_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """A layer or model, and all layers within it at any depth, outer ones before inner ones."""
    return _flat(layer, itself=True, recursive=True)


def layers_within(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The same without the layer or model itself."""
    return _flat(layer, itself=False, recursive=True)


def inner_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers that stand directly within one: a model's from its input to its output, others as they were set."""
    return list(layer.layers if isinstance(layer, keras.Model) else _flat(layer, itself=False, recursive=False))


def own_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    """What the layer itself, without its inner layers, would learn, whatever its flags say."""
    # The public trainable_variables has those of inner layers too, and none where a flag says frozen.
    return list(layer._trainable_variables)


def own_statistics(layer: keras.layers.Layer) -> list[keras.Variable]:
    """What the layer keeps count of and no gradient reaches: BatchNorm's moving mean and variance."""
    # The public non_trainable_variables has frozen weights among them.
    return list(layer._non_trainable_variables)


def not_finite(model: keras.Model) -> str | None:
    """The path of the first weight that holds NaN or an infinite number; ``None`` if all are finite."""
    for weight in model.weights:
        if keras.backend.is_float_dtype(weight.dtype) and not np.isfinite(weight.numpy()).all():
            return str(weight.path)
    return None


@dataclass(frozen=True, eq=False)
class Call:
    """One use of a layer or operation in a graph: the symbolic tensors it took and gave, and all its arguments."""

    operation: Any
    inputs: list[Any]
    outputs: list[Any]
    positional: tuple[Any, ...]
    options: dict[str, Any]


def _read(node: Any) -> Call:
    given = node.arguments
    return Call(node.operation, list(node.input_tensors), list(node.output_tensors), given.args, dict(given.kwargs))


def _nodes_of(operation: Any) -> list[Any]:
    # Keras' public layer.input and layer.output are those of the first use alone.
    nodes: list[Any] = operation._inbound_nodes
    return nodes


def calls_of(operation: Any) -> Iterator[Call]:
    """Every use of a layer or operation so far, the oldest first, in whichever models."""
    return map(_read, _nodes_of(operation))


def call_of(tensor: Any) -> Call:
    """The use that a symbolic tensor came from; that of a model's input took nothing."""
    # No public function leads from a tensor back to what made it.
    history = tensor._keras_history
    return _read(_nodes_of(history.operation)[history.node_index])


def functional(model: keras.Model) -> Any:
    """The functional graph of a model: itself, or what a sequential model that is built keeps inside."""
    # Made anew by the public keras.Model(model.inputs, model.outputs) it would be another model, with its own name.
    return getattr(model, "_functional", None) or model


def calls(model: keras.Model) -> list[Call]:
    """The calls that make up a functional or sequential model, from the input to the output.

    A layer may have others, in other models. A model within it is one call.
    """
    # Keras lists a graph's operations, but not its calls.
    by_depth = functional(model)._nodes_by_depth
    return [_read(node) for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
