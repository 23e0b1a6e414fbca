"""The graph of a model: the tensors between its input and its output, and where it narrows to one of them."""

from __future__ import annotations

import contextlib
import functools
import graphlib
import re
from collections.abc import Iterator
from typing import Any

from tlkit._keras import keras, tf
from tlkit._keras.graph import all_layers, call_of
from tlkit._keras.start import check_process
from tlkit.words import reason

__all__ = [
    "as_graph",
    "check_channels_last",
    "check_model",
    "copying",
    "cut_at_boundaries",
    "maker",
    "name_in_graphs",
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
    _check_layers(model)


# Those of which Keras hands channels_first to TensorFlow as it is.
_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.RNN,  # a ConvLSTM; no other has a data_format
)


@functools.cache
def _runs_channels_first() -> bool:
    """Whether TensorFlow has such convolutions here: with a GPU, and with oneDNN."""
    try:
        tf.nn.conv2d(tf.ones((1, 1, 2, 2)), tf.ones((1, 1, 1, 1)), 1, "VALID", data_format="NCHW")
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
        return False
    return True


# What TensorFlow's graphs take as the name of a layer within a model. Keras takes any, and so does JAX.
_NAME = re.compile(r"[A-Za-z0-9_.\\/>-]*")


def name_in_graphs(name: str) -> str:
    """A name for a model that TensorFlow's graphs take, a point in place of what they do not."""
    return re.sub(r"[^A-Za-z0-9_.-]|^[_-]", ".", name)


def _check_layers(model: keras.Model) -> None:
    """Raise ``ValueError`` for a layer that cannot run here, or whose answer to an example depends on those before."""
    for layer in all_layers(model):
        if getattr(layer, "stateful", False):
            raise ValueError(
                f"each example must have an answer of its own, got {layer.name!r} in {model.name!r}, which is stateful "
                "and goes on from the batch before."
            )
        convolves = isinstance(layer, _CONVOLUTIONS) and getattr(layer, "groups", 1) == 1
        if convolves and getattr(layer, "data_format", "") == "channels_first" and not _runs_channels_first():
            raise ValueError(
                "convolutions must be channels_last where there is no GPU and no oneDNN (TensorFlow has no others "
                f"there), got {layer.name!r} in {model.name!r}, channels_first."
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
    """Within it Keras copies a model; a layer that it cannot make anew ends it in one ``ValueError``.

    Such as a layer of somebody's own whose ``__init__`` takes no ``name``, or a Lambda, which is code.
    """
    try:
        yield
    except (NotImplementedError, TypeError, ValueError) as error:  # up to 21 lines, of which the first few say it
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
    if model.inputs[0].dtype == "string":
        raise ValueError(f"a backbone must take pixels or token ids, got {model.name!r}, which takes strings.")
    if model.input is not model.inputs[0] or model.output is not model.outputs[0]:
        # A list or a dictionary of one: calling it with the tensor itself would warn, and boundaries are tensors.
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    _check_layers(model)
    for layer in all_layers(model):
        if layer is not model and not _NAME.fullmatch(layer.name):
            raise ValueError(
                f"a layer's name must be of A to Z, digits and _.-/ (TensorFlow's graphs take no others), got "
                f"{layer.name!r} in {model.name!r}."
            )
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
