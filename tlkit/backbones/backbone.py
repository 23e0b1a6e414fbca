"""What a backbone is: a model, and the layers that end its stages."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit._keras import keras
from tlkit._keras.graph import all_layers
from tlkit.backbones.graph import as_graph, cut_at_boundaries, maker, outputs_by_name, walk_back

__all__ = ["Backbone", "check_backbone", "layers_up_to", "stage_layers"]


def check_backbone(backbone: object) -> None:
    """Raise ``ValueError`` unless it is a :class:`Backbone`: a Keras model is none yet."""
    if not isinstance(backbone, Backbone):
        raise ValueError(f"backbone must be a Backbone, got {type(backbone).__name__}: wrap_backbone makes one.")


@dataclass(frozen=True, eq=False)
class Backbone:
    """A base model that can be cut at the end of each stage.

    Args:
        name: A name for tables and errors.
        model: From raw pixels ``(n, h, w, c)`` in 0..255 to the last feature map ``(n, h', w', c')``; or from token ids
            ``(n, length)``, 0 being padding, to vectors ``(n, c)``. Between two stages texts are vectors of tokens
            ``(n, length, width)``, and those of padding are zero, so that they are told from tokens after a cut.
        stage_ends: The name of the layer that ends each stage, from the input to the output. Stage 0 is the raw image,
            or the ids.
        added: The names of layers that :mod:`tlkit.efficient` put beside the pretrained ones. Where there are any, they
            alone learn: :func:`tlkit.freezing.freeze_to` leaves all others frozen, at every stage.

    Raises:
        ValueError: ``stage_ends`` is empty, names an unknown layer, is out of order, holds a layer at which the model
            cannot be cut (the inside of a residual branch), or does not end at the model's output; or ``added`` names
            an unknown layer.
    """

    name: str
    model: keras.Model
    stage_ends: tuple[str, ...]
    added: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "stage_ends", tuple(self.stage_ends))
        object.__setattr__(self, "model", as_graph(self.model))
        if not self.stage_ends:
            raise ValueError("stage_ends must name at least one layer, got none.")
        outputs = outputs_by_name(self.model)
        for stage_end in self.stage_ends:
            if stage_end not in outputs:
                raise ValueError(
                    f"a stage end must be a layer of the model: {_nearest_layer(stage_end, list(outputs))}"
                )
            if len(outputs[stage_end]) > 1:
                raise ValueError(
                    f"a stage must end at a layer that the model uses once, got {stage_end!r}, which it uses "
                    f"{len(outputs[stage_end])} times."
                )
        places = {id(segment[-1]): place for place, segment in enumerate(cut_at_boundaries(self.model))}
        previous = -1
        for stage_end in self.stage_ends:
            place = places.get(id(outputs[stage_end][0]))
            if place is None:
                raise ValueError(
                    f"a stage must end where the graph narrows to one tensor, got {stage_end!r}, which lies beside "
                    "another path (inside a residual branch)."
                )
            if place <= previous:
                raise ValueError(f"stage_ends must go from the input to the output, got {', '.join(self.stage_ends)}.")
            previous = place
        if outputs[self.stage_ends[-1]][0] is not self.model.output:
            raise ValueError(
                f"the last stage must end at the model's output ({maker(self.model.output).name!r}), got "
                f"{self.stage_ends[-1]!r}."
            )
        object.__setattr__(self, "added", tuple(self.added))
        for name in self.added:
            if name not in outputs:
                raise ValueError(f"an added layer must be one of the model: {_nearest_layer(name, list(outputs))}")

    @property
    def n_stages(self) -> int:
        """The number of stages; freezing all of them is pure feature extraction."""
        return len(self.stage_ends)

    def check_stage(self, stage: int) -> None:
        """Raise ``ValueError`` unless ``stage`` is in 0..n_stages."""
        if isinstance(stage, bool) or not isinstance(stage, (int, np.integer)) or not 0 <= stage <= self.n_stages:
            raise ValueError(
                f"stage must be in 0..{self.n_stages} (0 trains everything, {self.n_stages} freezes everything), "
                f"got {stage!r}."
            )

    def boundary(self, stage: int) -> Any:
        """The symbolic tensor at the end of ``stage``; for stage 0 the model's input."""
        self.check_stage(stage)
        return self.model.input if stage == 0 else outputs_by_name(self.model)[self.stage_ends[stage - 1]][0]


def _nearest_layer(given: str, layer_names: Sequence[str]) -> str:
    # A model may have hundreds of layers: name the close ones only.
    close = difflib.get_close_matches(given, layer_names, n=3, cutoff=0.4) or list(layer_names[:3])
    return f"{', '.join(map(repr, close))} or another of {len(layer_names)}, got {given!r}."


def layers_up_to(backbone: Backbone, stage: int) -> list[keras.layers.Layer]:
    """The layers of stages 1 to ``stage``, from input to output; none for stage 0.

    Raises:
        ValueError: ``stage`` is out of range.
    """
    boundary = backbone.boundary(stage)
    if stage == 0:
        return []
    before = {id(maker(tensor)) for tensor in walk_back(boundary)}
    return [layer for layer in backbone.model.layers if id(layer) in before]


def stage_layers(backbone: Backbone) -> dict[int, list[keras.layers.Layer]]:
    """All layers of each stage 1..n, those of nested models too, each in the first stage that needs it."""
    seen: set[int] = set()
    stages: dict[int, list[keras.layers.Layer]] = {}
    for stage in range(1, backbone.n_stages + 1):
        needed = [layer for outer in layers_up_to(backbone, stage) for layer in all_layers(outer)]
        stages[stage] = list({id(layer): layer for layer in needed if id(layer) not in seen}.values())
        seen |= {id(layer) for layer in needed}
    return stages
