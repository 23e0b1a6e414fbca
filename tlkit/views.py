"""Views: how an image may be changed and still show the same; what pretraining without labels learns from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from tlkit._keras import keras, tf
from tlkit.domains import Array, check_seed
from tlkit.words import one_line

__all__ = ["Views", "check_images", "draw_views", "random_views"]


@dataclass(frozen=True)
class Views:
    """How two views of an image may differ: the largest strengths, each drawn anew for each view.

    Whatever a view may change, the network learns to overlook; so the views say what the task to come does not ask for.
    The defaults suit white signs on black, for which mirror images are other signs.

    Args:
        rotation: Degrees to either side, 0..180.
        shift: Share of the image's side, in each direction, 0..1.
        zoom: Share by which the image grows or shrinks, 0 or more and below 1.
        strokes: Probability of a thicker stroke, and of a thinner one, 0..0.5: the maximum or the minimum of each 3 × 3
            pixels, blended in by a random share.
        contrast: The pixels are multiplied by up to ``exp(contrast)``, or divided; 0 or more.
        noise: Standard deviation of the noise as a share of 255, 0..1.
        flip: Mirror left and right with probability 1/2.

    Raises:
        ValueError: A strength is out of range.
    """

    rotation: float = 15.0
    shift: float = 0.12
    zoom: float = 0.25
    strokes: float = 0.3
    contrast: float = 0.5
    noise: float = 0.1
    flip: bool = False

    def __post_init__(self) -> None:
        most = {"rotation": 180, "shift": 1, "zoom": 0.99, "strokes": 0.5, "contrast": math.inf, "noise": 1}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "flip":
                if not isinstance(value, bool):
                    raise ValueError(f"flip must be True or False, got {value!r}.")
            elif isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most[field.name]:
                allowed = "0 or more" if math.isinf(most[field.name]) else f"in 0..{most[field.name]:g}"
                raise ValueError(f"{field.name} must be {allowed}, got {value!r}.")


def random_views(images: Array, views: Views | None = None, *, seed: int = 0) -> Array:
    """A random view of each image, as :func:`pretrain_contrastive` draws two.

    Args:
        images: ``(n, h, w, c)`` in 0..255.
        views: ``None`` is ``Views()``.
        seed: Makes the view: the same seed draws the same.

    Returns:
        ``(n, h, w, c)`` ``float32`` in 0..255.

    Raises:
        ValueError: ``images`` has another shape, ``views`` are none, or ``seed`` is negative.
    """
    check_images(images)
    check_seed(seed)
    drawn: Array = draw_views(
        tf.convert_to_tensor(images), given_views(views), tf.random.Generator.from_seed(seed)
    ).numpy()
    return drawn


def given_views(views: Views | None) -> Views:
    """What a caller gave, or ``Views()`` for ``None``; ``ValueError`` for anything else, such as a number of views."""
    if not isinstance(views, Views | None):
        raise ValueError(f"views must be Views(...), or None for Views(), got {one_line(repr(views), 80)}.")
    return views or Views()


def draw_views(images: Any, views: Views, random: tf.random.Generator) -> Any:
    """:func:`random_views` on tensors, from a generator that moves on."""
    x = tf.cast(images, "float32") / 255
    n = tf.shape(x)[0]

    def uniform(low: float, high: float) -> Any:
        return random.uniform([n, 1, 1, 1], low, high)

    if views.flip:
        x = tf.where(uniform(0, 1) < 0.5, x[:, :, ::-1], x)
    if views.strokes:
        draw, share = uniform(0, 1), uniform(0, 1)
        thick = tf.nn.max_pool2d(x, 3, 1, "SAME")
        thin = -tf.nn.max_pool2d(-x, 3, 1, "SAME")
        x += share * tf.where(draw < views.strokes, thick - x, tf.where(draw > 1 - views.strokes, thin - x, 0.0))
    if views.rotation or views.shift or views.zoom:
        x = _moved(x, views, uniform)
    if views.contrast:
        x *= tf.exp(uniform(-views.contrast, views.contrast))
    if views.noise:
        x += views.noise * uniform(0, 1) * random.normal(tf.shape(x))
    return 255 * tf.clip_by_value(x, 0.0, 1.0)


def _moved(x: Any, views: Views, uniform: Callable[[float, float], Any]) -> Any:
    """Rotation, zoom and shift in one bilinear resampling; what comes in from outside is black."""
    height, width = x.shape[1:3]
    angle = uniform(-views.rotation, views.rotation)[:, 0, 0, 0] * math.pi / 180
    scale = 1 + uniform(-views.zoom, views.zoom)[:, 0, 0, 0]
    cos, sin = tf.cos(angle) / scale, tf.sin(angle) / scale
    to_x = width * uniform(-views.shift, views.shift)[:, 0, 0, 0] + (width - 1) / 2
    to_y = height * uniform(-views.shift, views.shift)[:, 0, 0, 0] + (height - 1) / 2
    # Where a pixel (x, y) of the view comes from: about the middle, so that turning and zooming shift nothing.
    from_x = (width - 1) / 2 - (cos * to_x - sin * to_y)
    from_y = (height - 1) / 2 - (sin * to_x + cos * to_y)
    zero = tf.zeros_like(cos)
    rows = tf.stack([cos, -sin, from_x, sin, cos, from_y, zero, zero], axis=1)
    return keras.ops.image.affine_transform(x, rows, interpolation="bilinear", fill_mode="constant", fill_value=0.0)


def check_images(images: Array) -> None:
    """Raise ``ValueError`` unless there are images ``(n, h, w, c)``."""
    if np.ndim(images) != 4 or 0 in np.shape(images):
        raise ValueError(f"images must have shape (n, h, w, c), got {np.shape(images)}.")
