"""The graph of a model: the tensors between its input and its output, and where it narrows to one of them."""

from __future__ import annotations

import contextlib
import graphlib
from collections.abc import Iterator
from typing import Any

from tlkit._keras import keras
from tlkit._keras.graph import call_of
from tlkit._keras.start import check_process
from tlkit.words import reason

__all__ = [
    "as_graph",
    "check_channels_last",
    "check_model",
    "copying",
    "cut_at_boundaries",
    "maker",
    "outputs_by_name",
    "walk_back",
]


def check_model(model: object) -> None:
    """Raise ``ValueError`` unless this is a built Keras model; ``RuntimeError`` in a fork, where none can run."""
    check_process()
    if not isinstance(model, keras.Model):
        hint = ": its Keras model is .model" if isinstance(getattr(model, "model", None), keras.Model) else ""
        raise ValueError(f"model must be a Keras model, got {type(model).__name__}{hint}.")
    if not model.built:
        raise ValueError(
            f"model must be built (call it on a batch once), got {model.name!r}, which has no weights yet."
        )


def check_channels_last() -> None:
    """Raise ``ValueError`` where Keras is set to make layers for images ``(n, c, h, w)``, which nothing here has."""
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "images are (n, h, w, c) here, so Keras must be set to 'channels_last', got 'channels_first': call "
            "keras.config.set_image_data_format('channels_last'), and look into ~/.keras/keras.json."
        )


@contextlib.contextmanager
def copying(model: keras.Model) -> Iterator[None]:
    """Within it Keras copies a model; a layer that does not say what it was made of ends it in one ``ValueError``."""
    try:
        yield
    except NotImplementedError as error:  # 21 lines, of which the first few say it
        raise ValueError(
            f"a model that is copied must be of layers that Keras can make anew, got {model.name!r}: "
            f"{reason(error, 160)}"
        ) from error


def maker(tensor: Any) -> Any:
    """The layer or operation that made a symbolic tensor."""
    return call_of(tensor).operation


def walk_back(tensor: Any) -> Iterator[Any]:
    """The symbolic tensors that ``tensor`` is computed from, itself included.

    The walk starts from a tensor of the model and not from ``layer.output``, which is the layer's first use and may
    belong to another model.
    """
    seen: set[int] = set()
    stack = [tensor]
    while stack:
        tensor = stack.pop()
        if id(tensor) not in seen:
            seen.add(id(tensor))
            yield tensor
            stack.extend(call_of(tensor).inputs)


def outputs_by_name(model: keras.Model) -> dict[str, list[Any]]:
    """The symbolic outputs of each layer and operation of the model's graph: one, unless it is used several times."""
    found: dict[str, list[Any]] = {}
    for tensor in walk_back(model.output):
        found.setdefault(maker(tensor).name, []).append(tensor)
    return found


def as_graph(model: Any) -> keras.Model:
    """The functional model from one tensor to one tensor, or a ``ValueError`` that says what is wrong with it."""
    if isinstance(model, keras.Sequential) and model.built:
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        raise ValueError(
            f"a backbone must be a functional or a built sequential Keras model (its graph is what is cut), got "
            f"{type(model).__name__}."
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"a backbone must have one input and one output, got {len(model.inputs)} and {len(model.outputs)}."
        )
    if model.input is not model.inputs[0] or model.output is not model.outputs[0]:
        # A list or a dictionary of one: calling it with the tensor itself would warn, and boundaries are tensors.
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return model


def cut_at_boundaries(model: keras.Model) -> list[list[Any]]:
    """All tensors of the graph from input to output, cut after each one at which it narrows to one tensor.

    Each segment ends in such a tensor; the first is the input alone. In a topological order every tensor lies on a path
    from the input to the output, so one is passed by exactly when some tensor before it is used by one after it: it is
    enough to keep the furthest use seen so far, and the time is linear in the size of the graph.
    """
    tensors = {id(tensor): tensor for tensor in walk_back(model.output)}
    uses = {key: [id(before) for before in call_of(tensor).inputs] for key, tensor in tensors.items()}
    order = list(graphlib.TopologicalSorter(uses).static_order())
    place = {key: i for i, key in enumerate(order)}
    furthest = list(range(len(order)))
    for key, befores in uses.items():
        for before in befores:
            furthest[place[before]] = max(furthest[place[before]], place[key])
    segments: list[list[Any]] = [[]]
    reach = 0
    for i, key in enumerate(order):
        segments[-1].append(tensors[key])
        if reach <= i:
            segments.append([])
        reach = max(reach, furthest[i])
    return segments[:-1]
