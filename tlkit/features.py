"""Features: split a backbone at the frozen boundary, and run the frozen part once."""

from __future__ import annotations

import numpy as np

from tlkit._tensorflow import keras
from tlkit.backbones import Backbone
from tlkit.domains import Array, Split

__all__ = ["cache_features", "pool_features", "split_at"]


def split_at(backbone: Backbone, stage: int) -> tuple[keras.Model, keras.Model]:
    """The backbone as ``(trunk, tail)``: the part up to the end of ``stage``, and the rest.

    Weights are shared, not copied: training the tail trains the backbone. At stage 0 the trunk passes the raw image on;
    at the last stage the tail passes the features on.

    Raises:
        ValueError: ``stage`` is out of range.
    """
    boundary = backbone.boundary(stage)
    trunk = keras.Model(backbone.model.input, boundary, name=f"{backbone.name}_trunk{stage}")
    if stage == backbone.n_stages:
        features = keras.Input(boundary.shape[1:], name="features")
        tail = keras.Model(features, features, name=f"{backbone.name}_tail{stage}")
    else:
        tail = keras.Model(boundary, backbone.model.output, name=f"{backbone.name}_tail{stage}")
    return trunk, tail


def cache_features(trunk: keras.Model, split: Split, *, batch_size: int = 64) -> Split:
    """Run the trunk once over all examples, in inference mode.

    Returns:
        A split with features ``(n, ...)`` ``float32`` in place of the images, labels unchanged, held in memory.

    Raises:
        ValueError: The images have another shape than the trunk takes.
    """
    check_shape(trunk, split)
    return Split(np.asarray(trunk.predict(split.x, batch_size=batch_size, verbose=0)), split.y)


def check_shape(model: keras.Model, split: Split) -> None:
    """Raise ``ValueError`` unless ``model`` takes what ``split`` holds."""
    wanted, given = model.input_shape[1:], split.x.shape[1:]
    if len(wanted) != len(given) or any(w not in (None, g) for w, g in zip(wanted, given, strict=True)):
        raise ValueError(f"examples must have the shape that {model.name!r} takes, {wanted}, got {given}.")


def pool_features(split: Split) -> Array:
    """Each example as one vector ``(n, d)`` ``float32``.

    Feature maps ``(n, h, w, c)`` are averaged over their positions, as a head does; images are flattened and scaled to
    0..1, the raw-pixels baseline.
    """
    if split.x.dtype == np.uint8:
        return split.x.reshape(len(split), -1).astype(np.float32) / 255
    if split.x.ndim == 2:
        return split.x
    return np.asarray(split.x.mean(axis=tuple(range(1, split.x.ndim - 1)), dtype=np.float32))
