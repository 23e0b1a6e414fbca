"""Photographs of clothes in ten classes, fetched once by `tlkit fetch clothes`.

They are clothing-dataset-small: the ten most frequent classes of what Alexey Grigorev, Tagias.com and 32 contributors
gave into the public domain (CC0), https://github.com/alexeygrigorev/clothing-dataset-small. They come with a split into
train (3,068), validation (341) and test (372): choose on the validation part, and look at the test part once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tlkit import files
from tlkit.domains import Domain, Split
from tlkit.files import Collection, PinnedFolder, github_archive
from tlkit.files.store import MAX_BYTES, open_store
from tlkit.folders.listing import list_folder
from tlkit.folders.loading import in_one_array, passing, picture_shape
from tlkit.folders.pictures import read_picture

__all__ = ["CLOTHES", "clothes_folder", "fetch_clothes", "load_clothes"]

_NAME = "clothing-dataset-small"
CLOTHES = Collection(
    "clothes",
    {
        _NAME: PinnedFolder(
            parts=("train", "validation", "test"),
            files=3_781,
            bytes=106_020_674,
            sha256="f8667cfe4a397f1be854d7d6c56118e4eaf6e9654ac37940e443dec3b4e55721",
            archive=github_archive(f"alexeygrigorev/{_NAME}", "11961516512414bf9f6c150a832cfd21b54a6b54"),
        )
    },
    "3,781 photographs of clothes",
)


def fetch_clothes(
    source: str | Path | None = None,
    *,
    report: Callable[[str], None] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Fetch the photographs if they are missing or altered; see :func:`tlkit.files.fetch`, also for errors."""
    return files.fetch(CLOTHES, source, report=report, progress=progress)


def clothes_folder() -> Path:
    """The folder of the photographs, found whole: ``train``, ``validation``, ``test``, one folder per class in each.

    It is for plain Keras: ``keras.utils.image_dataset_from_directory(clothes_folder() / "train", ...)``.

    Raises:
        tlkit.files.NotFetchedError: They were not fetched, or one of them was altered.
    """
    return files.fetched_file(CLOTHES, _NAME)


def load_clothes(
    *,
    image_size: int | tuple[int, int] = 160,
    channels: int = 3,
    progress: bool = False,
    cache_dir: str | Path | None = None,
    max_bytes: int = MAX_BYTES,
) -> Domain:
    """The photographs as a domain with the split that they come with; no network is used.

    Each is cropped around its centre to the aspect ratio of ``image_size`` and scaled, as in :func:`tlkit.load_folder`
    and :func:`tlkit.predict_images`: a model sees new pictures as it saw these. Most are 400 pixels wide and 533 high.
    A part is in the order of its class folders and file names, which is that of Keras'
    ``image_dataset_from_directory(..., shuffle=False)``.

    Args:
        image_size: Side, or ``(height, width)``, in pixels. At 160 the parts are 290 MB together.
        channels: 3 (RGB) or 1 (grey).
        progress: Show a bar.
        cache_dir: Where a part is kept that takes more than ``max_bytes``; ``None`` is the user's cache directory.
        max_bytes: Past this, a part stays on disk and is read back batch by batch.

    Returns:
        A domain of ten classes with ``train`` (3,068), ``validation`` (341) and ``test`` (372).

    Raises:
        ValueError: ``image_size`` or ``channels`` is out of range.
        tlkit.files.NotFetchedError: The photographs were not fetched: ``tlkit fetch clothes``.
        OSError: The disk cannot hold a part that is kept there.
    """
    shape = picture_shape(image_size, channels)
    folder = clothes_folder()
    store = open_store(cache_dir)
    classes = tuple(list_folder(folder / "train").classes)

    def read(part: str) -> Split:
        listing = list_folder(folder / part)
        pictures = listing.files()
        rows = (
            read_picture(file, shape[:2], channels) for file in passing(pictures, f"reading {part} images", progress)
        )
        labels = np.array([classes.index(file.parent.name) for file in pictures])
        return Split(in_one_array(pictures, rows, shape, store, max_bytes), labels)

    return Domain("clothes", read("train"), read("test"), classes, read("validation"))
