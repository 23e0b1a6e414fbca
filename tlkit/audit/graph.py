"""Reading a model without running it: its layers in order, their own weights, and the operations before its output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tlkit._tensorflow import keras

__all__ = [
    "Placed",
    "entering",
    "first_weighted",
    "has_graph",
    "last_operations",
    "most_on_a_path",
    "own_statistics",
    "own_weights",
    "placed_layers",
    "training_false_calls",
]


@dataclass(frozen=True)
class Placed:
    """A layer and where it stands: ``path`` names the models around it, ``base/conv1`` for a layer of a nested one."""

    path: str
    layer: keras.layers.Layer


def _inner(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    # Functional and sequential models list their layers from input to output; other containers as they were set.
    return list(layer.layers if isinstance(layer, keras.Model) else layer._layers)


def placed_layers(model: keras.Model) -> list[Placed]:
    """All layers, those of nested models in their place, each once, from the input to the output."""
    found: list[Placed] = []
    seen: set[int] = set()

    def visit(layer: keras.layers.Layer, prefix: str) -> None:
        if id(layer) in seen:
            return
        seen.add(id(layer))
        path = f"{prefix}{layer.name}"
        found.append(Placed(path, layer))
        for inner in _inner(layer):
            visit(inner, f"{path}/")

    for layer in _inner(model):
        visit(layer, "")
    return found


def own_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    """What the layer itself, without its inner layers, would learn, whatever its flags say."""
    return list(layer._trainable_variables)


def own_statistics(layer: keras.layers.Layer) -> list[keras.Variable]:
    """What the layer keeps count of and no gradient reaches: BatchNorm's moving mean and variance."""
    return list(layer._non_trainable_variables)


def has_graph(model: keras.Model) -> bool:
    """Whether the model is functional or sequential, so that its operations can be read."""
    return hasattr(model, "_functional") or (hasattr(model, "operations") and bool(getattr(model, "outputs", None)))


def _graph(model: keras.Model) -> Any:
    """The functional graph of a model; a sequential model keeps one inside."""
    return getattr(model, "_functional", None) or model


def _nodes(graph: Any) -> list[Any]:
    """The calls that make up a graph; a layer may have others, in other models."""
    return [node for nodes in graph._nodes_by_depth.values() for node in nodes]


def training_false_calls(model: keras.Model) -> list[Placed]:
    """Layers and nested models that the graph calls with ``training=False``, at any depth."""
    found = []
    for holder in [Placed("", model), *placed_layers(model)]:
        if not isinstance(holder.layer, keras.Model) or not has_graph(holder.layer):
            continue
        graph = _graph(holder.layer)
        for node in _nodes(graph):
            if node.arguments.kwargs.get("training") is False:
                found.append(Placed(f"{holder.path}/{node.operation.name}".lstrip("/"), node.operation))
    return found


def entering(model: keras.Model, wanted: Callable[[Any], bool]) -> Any | None:
    """The symbolic tensor that enters the first wanted operation of the outermost graph."""
    graph = _graph(model)
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.input_tensors and wanted(node.operation):
                return node.input_tensors[0]
    return None


def most_on_a_path(model: keras.Model, wanted: Callable[[Any], bool]) -> int:
    """The largest number of wanted operations on one path from the input to the output; nested models are entered."""
    graph = _graph(model)
    most: dict[int, int] = {id(entry): 0 for entry in graph.inputs}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            operation = node.operation
            nested = isinstance(operation, keras.Model) and has_graph(operation)
            own = most_on_a_path(operation, wanted) if nested else int(wanted(operation))
            before = max((most.get(id(tensor), 0) for tensor in node.input_tensors), default=0)
            most.update({id(tensor): before + own for tensor in node.output_tensors})
    return max(most[id(tensor)] for tensor in graph.outputs)


def last_operations(model: keras.Model) -> Iterator[Any]:
    """The operations from the output backwards, as long as there is one path; nested models are entered."""
    graph = _graph(model)
    tensor = graph.outputs[0]
    inputs = {id(entry) for entry in graph.inputs}
    while id(tensor) not in inputs:
        history = tensor._keras_history
        operation = history.operation
        if isinstance(operation, keras.Model) and has_graph(operation):
            yield from last_operations(operation)
        else:
            yield operation
        before = operation._inbound_nodes[history.node_index].input_tensors
        if len(before) != 1:
            return
        tensor = before[0]


def first_weighted(model: keras.Model) -> tuple[Any, Any] | None:
    """The first operation that has weights to learn, and the symbolic tensor that enters it; nested models count whole.

    ``None`` for a model without such an operation.
    """
    graph = _graph(model)
    for operation in graph.operations:
        if getattr(operation, "trainable_variables", None) or any(
            own_weights(layer) for layer in getattr(operation, "_flatten_layers", list)()
        ):
            return operation, next(node for node in _nodes(graph) if node.operation is operation).input_tensors[0]
    return None
