"""Finding the boundaries of any functional model, and making a backbone of it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit._keras import keras
from tlkit._keras.graph import functional
from tlkit.backbones.backbone import Backbone
from tlkit.backbones.graph import as_graph, cut_at_boundaries, maker, outputs_by_name
from tlkit.words import one_line

__all__ = ["find_boundaries", "wrap_backbone"]

_EVEN_STAGES = 5


def wrap_backbone(
    keras_model: keras.Model, stage_ends: Sequence[str] | None = None, name: str | None = None
) -> Backbone:
    """Any functional Keras model as a backbone, such as one of keras.applications or KerasHub.

    The model should take raw pixels and end in its last feature map; images of a known size can be cached, too. Weights
    are shared with ``keras_model``, not copied.

    A model that another one holds as one layer (``input -> preprocessing -> base``) is opened when more than half of
    all weights lie in it, so that its layers can be named and cut; one that ``stage_ends`` names stays closed.

    Without ``stage_ends`` the stages come from :func:`find_boundaries`: one stage a resolution, each ending at the last
    boundary before the resolution halves. What has no weights, such as pooling, belongs to the stage before it, but
    dropout to the one behind it, whose weights it regularises. The wide middle of a block, such as MobileNet's, is
    passed over. A network that does not halve its resolution twice, such as a ViT, is cut into five stages with about
    as many weights each.

    Args:
        stage_ends: The names of the layers at which the model may be cut, from input to output, the last one being its
            output layer; ``None`` finds them.
        name: A name for tables and errors; ``None`` is the model's own.

    Raises:
        ValueError: See :class:`Backbone`; or the boundaries are to be found in a subclassed model.
    """
    graph = _opened(keras_model, () if stage_ends is None else tuple(stage_ends))
    ends = _default_stage_ends(graph) if stage_ends is None else tuple(stage_ends)
    return Backbone(graph.name if name is None else name, graph, ends)


def find_boundaries(keras_model: keras.Model) -> tuple[str, ...]:
    """Every layer at which a model can be cut: no path from the input to the output goes around its output.

    The names are those that :func:`wrap_backbone` takes as ``stage_ends``, from input to output, the input left out. A
    layer that the model uses several times is left out, too: its name would not say which use is meant.

    Raises:
        ValueError: The model is not functional, or has several inputs or outputs.
    """
    graph = _opened(keras_model, ())
    outputs = outputs_by_name(graph)
    names = [maker(segment[-1]).name for segment in cut_at_boundaries(graph)[1:]]
    return tuple(name for name in names if len(outputs[name]) == 1)


def _opened(model: Any, closed: tuple[str, ...]) -> keras.Model:
    """The same layers in one graph when the model holds, as one layer, another with more than half of its weights."""
    try:
        return as_graph(_in_one_graph(as_graph(model), closed))
    except ValueError as error:  # Keras: 'The name "rescaling" is used 2 times in the model.'
        if "unique" not in str(error):
            raise
        raise ValueError(
            "a model inside the backbone must have other layer names than the one around it, so that a name says which "
            f"layer is meant: {one_line(error)}"
        ) from error


def _in_one_graph(graph: keras.Model, closed: tuple[str, ...], training: bool | None = None) -> keras.Model:
    """The graph with the whole model inside it opened; ``training`` goes to each layer that takes it."""
    base = _whole_model_inside(graph, closed)
    if base is None and training is None:
        return graph

    def call(operation: Any, *arguments: Any, **options: Any) -> Any:
        if training is not None and "training" in inspect.signature(operation.call).parameters:
            options["training"] = training
        if operation is not base:
            return operation(*arguments, **options)
        inside = keras.Model(base.inputs, base.outputs, name=base.name)
        inside = _in_one_graph(inside, closed, options.get("training"))
        # A model that is called is one operation of the graph around it; the call method runs its layers there.
        return keras.Function(inside.inputs, inside.outputs, name=base.name).call(keras.tree.flatten(arguments))

    uncompiled = keras.Model(graph.inputs, graph.outputs, name=graph.name)  # or the copy would be compiled as well
    return keras.models.clone_model(
        uncompiled, input_tensors=graph.inputs, clone_function=lambda layer: layer, call_function=call
    )


def _whole_model_inside(graph: Any, closed: tuple[str, ...]) -> keras.Model | None:
    inner = [op for op in graph.operations if isinstance(op, keras.Model) and op.name not in closed]
    base = next((model for model in inner if 2 * model.count_params() > graph.count_params()), None)
    # A subclass of a functional model may have a call of its own, and would then do something else than its graph.
    if base is not None and not (
        hasattr(functional(base), "operations") and type(base).call.__module__.startswith("keras.")
    ):
        raise ValueError(
            f"a model inside the backbone must be functional or sequential, got {base.name!r} ({type(base).__name__}), "
            "a subclassed one, which cannot be cut: name it in stage_ends to keep it whole."
        )
    return base


@dataclass(frozen=True)
class _Place:
    """A place where a stage may end: numbers an example at it, and positions and weights of the layers before it."""

    name: str
    size: int
    positions: int
    weights: int


def _default_stage_ends(graph: keras.Model) -> tuple[str, ...]:
    """The choice of stages that :func:`wrap_backbone` documents."""
    places = _places(graph)
    stages: list[list[_Place]] = []
    for place in places:
        if not stages or 2 * place.positions <= stages[-1][0].positions:
            stages.append([])
        stages[-1].append(place)
    end = maker(graph.output).name
    if len(stages) < 3:
        return (*(name for name in _even_stage_ends(places) if name != end), end)
    return (*(_cheap_to_keep(stage)[-1].name for stage in stages[:-1]), end)


def _even_stage_ends(places: list[_Place]) -> Iterator[str]:
    cheap = {place.name for place in _cheap_to_keep(places)}
    total, passed, stage = sum(place.weights for place in places), 0, 0
    for place in places:
        passed += place.weights
        if place.name in cheap and _EVEN_STAGES * passed // total > stage:
            stage = _EVEN_STAGES * passed // total
            yield place.name


def _cheap_to_keep(places: list[_Place]) -> list[_Place]:
    """Without those behind which, for a few weights more, more than twice as many numbers would have to be kept."""
    passed = np.cumsum([place.weights for place in places])
    return [
        place
        for i, place in enumerate(places)
        if not any(2 * places[j].size < place.size and 4 * passed[j] >= passed[i] for j in range(i))
    ]


def _places(graph: keras.Model) -> list[_Place]:
    """The boundaries after which layers with weights follow, each with the layers without weights that lead to it."""
    segments = cut_at_boundaries(graph)
    outputs = outputs_by_name(graph)
    shapes = _shapes(graph, [segment[-1] for segment in segments])
    places: list[_Place] = []
    weights, drops = 0, False
    for segment, shape in list(zip(segments, shapes, strict=True))[1:]:
        operations = {id(maker(tensor)): maker(tensor) for tensor in segment}.values()
        weights += sum(op.count_params() for op in operations if _learns(op))
        drops = drops or any(hasattr(op, "seed_generator") for op in operations)
        name, size = maker(segment[-1]).name, int(np.prod(shape[1:]))
        if len(outputs[name]) > 1:
            continue  # its weights belong to the next place
        if weights:
            places.append(_Place(name, size, int(np.prod(shape[1:-1])), weights))
            drops = False
        elif places and not drops and size <= places[-1].size:
            places[-1] = _Place(name, size, places[-1].positions, places[-1].weights)
        weights = 0
    return places


def _learns(operation: Any) -> bool:
    return isinstance(operation, keras.layers.Layer) and not isinstance(operation, keras.layers.Normalization)


def _shapes(graph: keras.Model, tensors: list[Any]) -> list[tuple[int, ...]]:
    """The tensors' shapes for one image, of 224 pixels where the model takes any size."""
    if all(None not in tensor.shape[1:] for tensor in tensors):
        return [(1, *tensor.shape[1:]) for tensor in tensors]
    image = (1, *(224 if side is None else side for side in graph.inputs[0].shape[1:]))
    shapes = keras.Model(graph.inputs[0], tensors).compute_output_shape(image)
    return [tuple(shape) for shape in shapes]
