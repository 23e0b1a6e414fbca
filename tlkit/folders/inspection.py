"""What is in a folder of pictures, and what a learner should look at before training on it."""

from __future__ import annotations

import hashlib
import html
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tlkit.domains import Array
from tlkit.folders.listing import list_folder
from tlkit.folders.loading import passing
from tlkit.folders.pictures import PictureError, decode
from tlkit.words import counted, printable

__all__ = ["FolderReport", "inspect_folder"]

_SHOWN = 10  # lines that a list shows; the fields hold all
_SIDE = 16  # of the small copies in which pictures are compared
_ALIKE = 0.995
_BLOCK = 512
_MODES = {"1": "black and white", "L": "grey", "LA": "grey+alpha", "I;16": "16-bit grey", "P": "palette"}


@dataclass(frozen=True, eq=False, repr=False)
class FolderReport:
    """What :func:`inspect_folder` found. Files are named ``class/name``; ``print`` it, or end a cell with it.

    Args:
        path: The folder.
        classes: One row per class: ``class``, ``pictures`` (that can be read), ``unreadable``, ``smallest`` and
            ``largest`` (width × height in pixels, upright, by area) and ``modes`` (how many are RGB, grey, ...).
        unreadable: Each file that looks like a picture by its name and cannot be read, and why; empty ones are in
            ``empty``.
        empty: Files of 0 bytes.
        ignored: Each entry that is left out, and why.
        duplicates: Files of one class with the same pixels, in tuples.
        conflicts: Files of several classes with the same pixels, in tuples: at most one of the labels is right.
        alike: Files that are nearly the same picture: scaled, saved again, brightened. They may be rightly there.
    """

    path: str
    classes: pd.DataFrame
    unreadable: dict[str, str]
    empty: tuple[str, ...]
    ignored: dict[str, str]
    duplicates: tuple[tuple[str, ...], ...]
    conflicts: tuple[tuple[str, ...], ...]
    alike: tuple[tuple[str, ...], ...]

    @property
    def summary(self) -> str:
        """The counts in one line."""
        pictures = int(self.classes["pictures"].sum())
        return (
            f"{printable(self.path)}: {counted(len(self.classes), 'class', 'classes')}, {counted(pictures, 'picture')}"
        )

    def remarks(self) -> list[tuple[str, list[str]]]:
        """What to look at, the gravest first: a sentence with the number of cases, and a line for each of them."""
        few = [f"{row['class']}: {row['pictures']}" for _, row in self.classes.iterrows() if row["pictures"] < 2]
        example = {reason: name for name, reason in reversed(self.ignored.items())}
        reasons = Counter(self.ignored.values()).most_common()
        found = [
            ("A domain needs two class folders or more", [] if len(self.classes) > 1 else [self.summary]),
            ("A class needs two pictures or more, one to train and one to test", few),
            ("The same picture under two labels: at most one is right", _joined(self.conflicts)),
            ("Unreadable: load_folder refuses, or leaves out with skip_unreadable=True",
             [f"{name}: {reason}" for name, reason in self.unreadable.items()]),
            ("Empty files", list(self.empty)),
            ("The same picture twice: in train and test it makes accuracy look better; delete copies",
             _joined(self.duplicates)),
            ("Nearly the same picture: if one was made from another, keep one, or give them one group",
             _joined(self.alike)),
            ("Ignored",
             [f"{counted(n, 'entry', 'entries')}: {reason}, such as {example[reason]}" for reason, n in reasons]),
        ]  # fmt: skip
        counts = {"Ignored": len(self.ignored)}
        return [
            (f"{sentence} ({counts.get(sentence, len(lines))})", list(map(printable, lines)))
            for sentence, lines in found
            if lines
        ]

    def __str__(self) -> str:
        parts = [self.summary]
        if len(self.classes):
            parts.append(self.classes.to_string(index=False))
        for sentence, lines in self.remarks():
            parts.append("\n".join([f"{sentence}:", *(f"  {line}" for line in _first(lines))]))
        return "\n\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [f"<p>{html.escape(self.summary)}</p>"]
        if len(self.classes):
            parts.append(self.classes.to_html(index=False, escape=True, border=0))
        for sentence, lines in self.remarks():
            items = "".join(f"<li>{html.escape(line)}</li>" for line in _first(lines))
            parts.append(f"<p><b>{html.escape(sentence)}</b></p><ul>{items}</ul>")
        return "".join(parts)


def inspect_folder(path: str | Path, *, progress: bool = False) -> FolderReport:
    """Read every picture of a folder with one subfolder per class, and report what is there and what is wrong.

    Copies are found by a hash of the pixels (upright, as RGB), whatever the format. Pictures are ``alike`` when their
    16 × 16 grey copies correlate to 0.995 or more: scaling, compression and brightness hardly change that. Each picture
    is compared with all others, a block at a time.

    Args:
        progress: Show a bar.

    Raises:
        ValueError: There is no such folder.
    """
    listing = list_folder(path)
    label_of = {file: name for name, files in listing.classes.items() for file in files}
    found: dict[Path, _Looks] = {}
    unreadable: dict[str, str] = {}
    for file in passing(listing.files(), "looking at pictures", progress):
        try:
            found[file] = _look(file)
        except PictureError as error:
            unreadable[listing.name(file)] = error.reason
    empty = tuple(name for name, reason in unreadable.items() if reason == "empty file")

    same: dict[bytes, list[Path]] = {}
    for file, looks in found.items():
        same.setdefault(looks.pixels, []).append(file)
    copies = [files for files in same.values() if len(files) > 1]
    firsts = [files[0] for files in same.values()]

    def named(groups: Iterable[Iterable[Path]]) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(map(listing.name, group)) for group in groups)

    def labels(files: Iterable[Path]) -> set[str]:
        return {label_of[file] for file in files}

    rows = [
        _row(name, [found[file] for file in files if file in found], sum(file not in found for file in files))
        for name, files in listing.classes.items()
    ]
    return FolderReport(
        path=str(path),
        classes=pd.DataFrame(rows, columns=["class", "pictures", "unreadable", "smallest", "largest", "modes"]),
        unreadable={name: reason for name, reason in unreadable.items() if name not in empty},
        empty=empty,
        ignored=listing.ignored,
        duplicates=named(files for files in copies if len(labels(files)) == 1),
        conflicts=named(files for files in copies if len(labels(files)) > 1),
        alike=named(_alike(firsts, np.array([found[file].small for file in firsts]))),
    )


@dataclass(frozen=True)
class _Looks:
    size: tuple[int, int]  # width, height
    mode: str
    pixels: bytes  # their hash
    small: Array  # (_SIDE * _SIDE,) uint8


def _look(file: Path) -> _Looks:
    from PIL import Image

    image, mode = decode(file)
    digest = hashlib.sha256(repr(image.size).encode())
    digest.update(image.convert("RGB").tobytes())
    small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return _Looks(image.size, mode, digest.digest(), np.asarray(small).ravel())


def _row(name: str, looks: list[_Looks], unreadable: int) -> dict[str, object]:
    sizes = sorted((look.size for look in looks), key=lambda size: (size[0] * size[1], size))
    modes = Counter(_MODES.get(look.mode, look.mode) for look in looks)
    return {
        "class": printable(name),
        "pictures": len(looks),
        "unreadable": unreadable,
        "smallest": "{} × {}".format(*sizes[0]) if sizes else "",
        "largest": "{} × {}".format(*sizes[-1]) if sizes else "",
        "modes": ", ".join(f"{mode} {n}" for mode, n in modes.most_common()),
    }


def _alike(files: list[Path], small: Array) -> list[list[Path]]:
    """The files whose small copies ``(n, pixels)`` correlate, joined into groups."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if len(files) < 2:
        return []
    centred = small.astype(np.float32)
    centred -= centred.mean(1, keepdims=True)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1)  # a flat picture is like none
    every = np.arange(len(files))
    first = every  # of the group of each file; joined block by block, for all pairs of a large folder are too many
    for start in range(0, len(files), _BLOCK):
        pairs = np.argwhere(centred[start : start + _BLOCK] @ centred[start:].T >= _ALIKE) + start
        one, other = np.concatenate([pairs, np.stack([first, every], axis=1)]).T
        graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(files), len(files)))
        component = connected_components(graph, directed=False)[1]
        first = np.unique(component, return_index=True)[1][component]
    groups: dict[int, list[Path]] = {}
    for i, file in zip(first.tolist(), files, strict=True):
        groups.setdefault(i, []).append(file)
    return [group for group in groups.values() if len(group) > 1]


def _joined(groups: tuple[tuple[str, ...], ...]) -> list[str]:
    return [" = ".join(_first(list(group))) for group in groups]


def _first(lines: list[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return lines if more <= 0 else [*lines[:_SHOWN], f"… and {more:,} more"]
