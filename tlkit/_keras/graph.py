"""Placeholder until the room is merged."""

from __future__ import annotations

from typing import Any


def all_layers(layer: Any) -> list[Any]:
    """The layer and all inside it, outer ones first."""
    return list(layer._flatten_layers(include_self=True, recursive=True))


def own_weights(layer: Any) -> list[Any]:
    """What the layer itself, without its inner layers, would learn, whatever its flags say."""
    return list(layer._trainable_variables)
