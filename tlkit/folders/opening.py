"""Pictures that are decoded when they are needed, of a folder or of Parquet files: for more than one machine holds."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.domains import Array
from tlkit.files.paths import check_path
from tlkit.folders.listing import list_folder
from tlkit.folders.loading import picture_shape, stamps, warn_left_out
from tlkit.folders.pictures import READING, PictureError, picture_of_bytes, read_picture
from tlkit.words import must_install, printable

__all__ = ["Pictures", "Unread", "open_pictures"]


@dataclass(frozen=True)
class Unread:
    """Pictures as an array that is read piece by piece: ``[start:stop]`` gives ``(n, h, w, c)`` ``uint8`` in 0..255.

    Args:
        places: Where each picture is: a file, or its row in a group of rows of a Parquet file.
        size: ``(height, width)`` in pixels.
        channels: 3 (RGB) or 1 (grey).
    """

    places: Sequence[Path | tuple[Path, int, int]]
    size: tuple[int, int]
    channels: int
    dtype: np.dtype[Any] = field(default=np.dtype(np.uint8), init=False)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(n, h, w, c)``, as an array's."""
        return (len(self), *self.size, self.channels)

    def part(self, start: int, stop: int) -> Unread:
        """Some of them, still unread: what is sent to another process."""
        return Unread(self.places[start:stop], self.size, self.channels)

    def __getitem__(self, chosen: slice) -> Array:
        rows = np.empty((len(places := self.places[chosen]), *self.size, self.channels), np.uint8)
        for row, place in zip(rows, places, strict=True):
            try:
                row[:] = self._read(place)
            except PictureError as error:
                raise ValueError(f"every image must be readable; {error}") from None
        return rows

    def _read(self, place: Path | tuple[Path, int, int]) -> Array:
        if isinstance(place, Path):
            return read_picture(place, self.size, self.channels)
        path, group, row = place
        content = _row_group(path, group)[row].as_py()
        content = content["bytes"] if isinstance(content, dict) else content
        return picture_of_bytes(content or b"", path / f"group {group}, row {row}", self.size, self.channels)

    def digest(self) -> str:
        """A hash that changes with the files, by their size and time, and with how they are read."""
        files = dict.fromkeys(place if isinstance(place, Path) else place[0] for place in self.places)
        return hashlib.sha256(repr((READING, self.shape, stamps(files))).encode()).hexdigest()


@dataclass(frozen=True)
class Pictures:
    """Pictures with labels, as a :class:`tlkit.Split` has them, but unread.

    Args:
        x: The pictures.
        y: Labels ``(n,)``, integers from 0.
        classes: Their names.
    """

    x: Unread
    y: Array
    classes: tuple[str, ...]
    groups: None = field(default=None, init=False)
    is_text: bool = field(default=False, init=False)

    def __len__(self) -> int:
        return len(self.y)


def open_pictures(path: str | Path, *, image_size: int | tuple[int, int], channels: int = 3) -> Pictures:
    """The pictures of a folder with one folder per class, or of Parquet files, in the order of their names.

    Nothing is read but the list, and of Parquet the labels. Pictures come out as :func:`tlkit.load_folder` gives them;
    it takes no part of them for a test.

    Args:
        path: The folder of class folders; or a file ``.parquet``, or a folder of such, with the columns ``image`` (a
            picture file's bytes, or as Hugging Face stores it a structure with ``bytes``) and ``label`` (integers from
            0, or names).
        image_size: Side, or ``(height, width)``, in pixels.
        channels: 3 (RGB) or 1 (grey).

    Raises:
        ValueError: No such folder or file, no picture in it, another column, or an argument out of range. Parquet needs
            ``pip install 'tlkit[scale]'``.
    """
    height, width, _ = picture_shape(image_size, channels)
    root = check_path("path", path, "a folder with one subfolder per class, or of a .parquet file")
    tables = sorted(root.glob("*.parquet")) if root.is_dir() else [root] if root.suffix == ".parquet" else []
    places: list[Any] = []
    if tables:
        places, labels = _in_tables(tables)
        names, y = _numbered(labels)
    else:
        listing = list_folder(root)
        warn_left_out(listing)
        places, names = list(listing.files()), list(listing.classes)
        y = np.repeat(np.arange(len(names)), [len(files) for files in listing.classes.values()])
    if not places:
        raise ValueError(f"path must hold pictures, one folder per class or in .parquet files, got none in {root}.")
    return Pictures(Unread(tuple(places), (height, width), channels), y.astype(np.int64), tuple(map(printable, names)))


def _numbered(labels: list[Any]) -> tuple[list[str], Array]:
    """The names of the classes, and the labels as numbers of these."""
    kinds = {type(label) for label in labels}
    if kinds == {int} and min(labels) >= 0:
        return [str(number) for number in range(max(labels) + 1)], np.array(labels)
    if kinds <= {str}:
        names, y = np.unique(labels, return_inverse=True)
        return names.tolist(), y
    wrong = next(label for label in labels if not isinstance(label, str) and (type(label) is not int or label < 0))
    raise ValueError(f"labels must be integers from 0, or all of them names, got {wrong!r}.")


def _parquet(path: Path) -> Any:
    if importlib.util.find_spec("pyarrow") is None:
        raise ValueError(must_install("pyarrow", "scale"))
    from pyarrow import ArrowException, parquet

    try:
        return parquet.ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise ValueError(f"path must be a Parquet file, got {str(path)!r} ({error}).") from None


def _in_tables(tables: Sequence[Path]) -> tuple[list[tuple[Path, int, int]], list[Any]]:
    """Where each picture is, and its label."""
    places, labels = [], []
    for path in tables:
        with _parquet(path) as file:
            there = file.schema_arrow.names
            if missing := {"image", "label"} - set(there):
                raise ValueError(
                    f"{path} must have the columns image and label, got none of {sorted(missing)}: {there}."
                )
            for group in range(file.num_row_groups):
                found = file.read_row_group(group, columns=["label"])["label"].to_pylist()
                labels += found
                places += [(path, group, row) for row in range(len(found))]
    return places, labels


@functools.lru_cache(maxsize=1)  # rows are read one after the other
def _row_group(path: Path, group: int) -> Any:
    with _parquet(path) as file:
        return file.read_row_group(group, columns=["image"])["image"].combine_chunks()
