"""Small pictures of a domain's images, for pages."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from tlkit.domains import Array

__all__ = ["data_uri", "thumbnail"]


def thumbnail(pixels: Array, side: int) -> Image.Image:
    """An image ``(h, w, 1 or 3)`` in 0..255, ``side`` pixels at most; ink is dark where there is one channel."""
    grey = pixels.shape[-1] == 1
    picture = Image.fromarray(255 - pixels[..., 0] if grey else np.ascontiguousarray(pixels[..., :3]))
    picture.thumbnail((side, side))
    return picture


def data_uri(picture: Image.Image, *, exact: bool) -> str:
    """The picture as an address: PNG if it is to be exact, else JPEG, which takes less for a photograph."""
    kind = "PNG" if exact else "JPEG"
    buffer = io.BytesIO()
    picture.save(buffer, kind, **({} if exact else {"quality": 88}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
