"""One picture from a file: upright and eight bits a channel, or one line that says why it cannot be read."""

from __future__ import annotations

import contextlib
import io
import math
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tlkit.domains import Array
from tlkit.words import reason

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "FORMATS",
    "PICTURE_SUFFIXES",
    "READING",
    "UNREAD_SUFFIXES",
    "PictureError",
    "check_pixels",
    "decode",
    "fit_array",
    "is_picture_name",
    "picture_of_bytes",
    "read_picture",
]

# What Pillow may try on a file. It knows forty more formats, among them some that start other programs.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp")
UNREAD_SUFFIXES = (".avif", ".dcm", ".heic", ".heif", ".jp2", ".svg", ".tif", ".tiff")  # pictures, but not for us
READING = 2  # raise it when read_picture comes to give other pixels: stored ones are then made anew
# Until Python 3.14 the filters of warnings are the whole process's: two threads that put them back in the wrong order
# would leave warnings off for good.
_ONE_AT_A_TIME = threading.Lock()


class PictureError(ValueError):
    """A file that is not a picture, or a broken one: the message names it; ``reason`` says why in a few words."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"a picture must be a whole PNG, JPEG, BMP, GIF or WebP, got {str(path)!r} ({reason}).")
        self.reason = reason


def is_picture_name(name: str) -> bool:
    """Whether a file is taken for a picture by its name."""
    # macOS leaves "._photo.png" beside photo.png on foreign disks: no picture, whatever its suffix says.
    return name.lower().endswith(PICTURE_SUFFIXES) and not name.startswith(".")


def check_pixels(size: tuple[int, int]) -> None:
    """Raise ``ValueError`` for a size that is none, or of more pixels than a picture may have to be read.

    That is Pillow's ``Image.MAX_IMAGE_PIXELS``, 89,478,485 unless somebody has set it; a larger one takes gigabytes.
    """
    from PIL import Image

    most = Image.MAX_IMAGE_PIXELS
    if min(size) < 1 or (most is not None and math.prod(map(int, size)) > most):
        at_most = "" if most is None else f" and at most {most:,} pixels in all"
        raise ValueError(f"size must be (height, width) of 1 pixel or more each{at_most}, got {tuple(size)}.")


def read_picture(path: Path, size: tuple[int, int], channels: int) -> Array:
    """A picture as a backbone takes it: ``(*size, channels)`` ``uint8`` in 0..255.

    It is turned upright by its EXIF mark, cropped around the centre to the aspect ratio of ``size`` and scaled. The
    content decides on the format, not the suffix. Of an animation the first frame is read; 16 bits a channel are
    scaled to eight; what is transparent lies on white.

    Args:
        size: ``(height, width)`` in pixels.
        channels: 3 (RGB) or 1 (grey).

    Raises:
        ValueError: ``size`` has a side below 1 or more than ``Image.MAX_IMAGE_PIXELS`` pixels.
        PictureError: The file is empty, cut short, damaged or no picture, or has more pixels than Pillow's
            ``Image.MAX_IMAGE_PIXELS`` (a small file can claim to be gigabytes).
    """
    check_pixels(size)
    with _naming(path):
        return _fitted(_decode(path, at_least=3 * max(size))[0], size, channels)


def picture_of_bytes(content: bytes, name: Path, size: tuple[int, int], channels: int) -> Array:
    """The picture that a file of this content would give, read by :func:`read_picture`; ``name`` is for its errors.

    Raises:
        ValueError: As :func:`read_picture`.
        PictureError: As :func:`read_picture`.
    """
    check_pixels(size)
    with _naming(name):
        return _fitted(_decode(io.BytesIO(content), at_least=3 * max(size))[0], size, channels)


def fit_array(pixels: Array, size: tuple[int, int], channels: int) -> Array:
    """Pixels in memory, as :func:`read_picture` gives those of a file; of the size that is wanted, as they are.

    Args:
        pixels: ``(h, w, 1)``, ``(h, w, 3)`` or ``(h, w)`` ``uint8`` in 0..255.

    Raises:
        ValueError: They are none, or ``size`` is out of range.
    """
    from PIL import Image

    check_pixels(size)
    shape = pixels.shape if pixels.ndim == 3 else (*pixels.shape, 1)
    if pixels.dtype != np.uint8 or len(shape) != 3 or shape[-1] not in (1, 3) or 0 in shape:
        raise ValueError(
            f"a picture must be uint8 in 0..255 of the shape (h, w, 1 or 3), got {pixels.dtype} {pixels.shape}."
        )
    return _fitted(Image.fromarray(pixels.reshape(shape if shape[-1] == 3 else shape[:2])), size, channels)


def _fitted(image: Image, size: tuple[int, int], channels: int) -> Array:
    from PIL import Image, ImageOps

    # Crop to the wanted aspect ratio, then scale: stretching would change the shapes that the backbone knows.
    fitted = ImageOps.fit(image.convert("L" if channels == 1 else "RGB"), (size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(fitted, dtype=np.uint8).reshape(*size, channels)


def decode(path: Path) -> tuple[Image, str]:
    """The whole picture, upright, ``L`` or ``RGB``, and Pillow's name of the mode in which it is stored.

    Raises:
        PictureError: See :func:`read_picture`.
    """
    with _naming(path):
        return _decode(path)


def _decode(path: Path | io.BytesIO, *, at_least: int | None = None) -> tuple[Image, str]:
    from PIL import Image, ImageOps

    image: Image.Image
    with Image.open(path, formats=FORMATS) as image:
        if at_least is not None:
            # JPEG can be decoded at an eighth of its size: a photo of 12 million pixels in a quarter of the time, with
            # some grey levels of difference where three times the wanted side is still there.
            image.draft(None, (at_least, at_least))
        image.load()
        mode = image.mode
        with contextlib.suppress(Exception):  # damaged EXIF data cost the mark, not the picture
            ImageOps.exif_transpose(image, in_place=True)
        if mode.startswith("I"):  # 16 bit: Pillow's own conversion would clip at 255
            eight = (np.asarray(image).astype(np.int64).clip(0, 65535) + 128) // 257
            image = Image.fromarray(eight.astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            white = Image.new("RGB", image.size, "white")  # paper, for ink that was drawn on a transparent ground
            white.paste(image, mask=image.getchannel("A"))
            return white, mode
        return image.convert("L" if image.mode in ("1", "L") else "RGB"), mode


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Whatever a broken file makes Pillow raise comes out as one error that names the file; its remarks are dropped."""
    from PIL import Image

    try:
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except Exception as error:  # Pillow raises many types for a broken file; all mean the same here
        raise PictureError(path, _reason(path, error)) from error


def _reason(path: Path, error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, (Image.DecompressionBombWarning, Image.DecompressionBombError)):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    if isinstance(error, MemoryError):
        return "too large for the memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    with contextlib.suppress(OSError):
        if path.stat().st_size == 0:
            return "empty file"
    if isinstance(error, UnidentifiedImageError):
        return "no picture inside, or its start is damaged"
    return f"damaged: {reason(error, 120)}"
