"""Reading a model without running it: its layers in order, their own weights, and the operations before its output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tlkit._keras import keras
from tlkit._keras.graph import all_layers, call_of, calls, functional, inner_layers, own_weights

__all__ = [
    "Placed",
    "before_padding",
    "entering",
    "first_weighted",
    "has_graph",
    "last_operations",
    "most_on_a_path",
    "placed_layers",
    "training_false_calls",
]


@dataclass(frozen=True)
class Placed:
    """A layer and where it stands: ``path`` names the models around it, ``base/conv1`` for a layer of a nested one."""

    path: str
    layer: keras.layers.Layer


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
        for inner in inner_layers(layer):
            visit(inner, f"{path}/")

    for layer in inner_layers(model):
        visit(layer, "")
    return found


def has_graph(model: keras.Model) -> bool:
    """Whether the model is functional or sequential, so that its operations can be read."""
    return isinstance(model, keras.Sequential) or (
        hasattr(model, "operations") and bool(getattr(model, "outputs", None))
    )


def training_false_calls(model: keras.Model) -> list[Placed]:
    """Layers and nested models that the graph calls with ``training=False``, at any depth."""
    found = []
    for holder in [Placed("", model), *placed_layers(model)]:
        if not isinstance(holder.layer, keras.Model) or not has_graph(holder.layer):
            continue
        for call in calls(holder.layer):
            if call.options.get("training") is False:
                found.append(Placed(f"{holder.path}/{call.operation.name}".lstrip("/"), call.operation))
    return found


def entering(model: keras.Model, wanted: Callable[[Any], bool]) -> Any | None:
    """The symbolic tensor that enters the first wanted operation of the outermost graph."""
    return next((call.inputs[0] for call in calls(model) if call.inputs and wanted(call.operation)), None)


def before_padding(tensor: Any) -> Any:
    """The symbolic tensor before the layers that pad it with zeros, if any; what a network is fed, such as ResNet50."""
    while isinstance((call := call_of(tensor)).operation, keras.layers.ZeroPadding2D):
        tensor = call.inputs[0]
    return tensor


def most_on_a_path(model: keras.Model, wanted: Callable[[Any], bool]) -> int:
    """The largest number of wanted operations on one path from the input to the output; nested models are entered."""
    most: dict[int, int] = {id(entry): 0 for entry in model.inputs}
    for call in calls(model):
        nested = isinstance(call.operation, keras.Model) and has_graph(call.operation)
        own = most_on_a_path(call.operation, wanted) if nested else int(wanted(call.operation))
        before = max((most.get(id(tensor), 0) for tensor in call.inputs), default=0)
        most.update({id(tensor): before + own for tensor in call.outputs})
    return max(most[id(tensor)] for tensor in model.outputs)


def last_operations(model: keras.Model) -> Iterator[Any]:
    """The operations from the output backwards, as long as there is one path; nested models are entered."""
    tensor = model.outputs[0]
    inputs = {id(entry) for entry in model.inputs}
    while id(tensor) not in inputs:
        call = call_of(tensor)
        if isinstance(call.operation, keras.Model) and has_graph(call.operation):
            yield from last_operations(call.operation)
        else:
            yield call.operation
        if len(call.inputs) != 1:
            return
        tensor = call.inputs[0]


def first_weighted(model: keras.Model) -> tuple[Any, Any] | None:
    """The first operation that has weights to learn, and the symbolic tensor that enters it; nested models count whole.

    ``None`` for a model without such an operation.
    """
    for operation in functional(model).operations:
        layers = all_layers(operation) if isinstance(operation, keras.layers.Layer) else []
        if getattr(operation, "trainable_variables", None) or any(own_weights(layer) for layer in layers):
            return operation, next(call for call in calls(model) if call.operation is operation).inputs[0]
    return None
