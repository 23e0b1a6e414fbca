"""Pictures added to a folder that may hold some already: each is read first, and none is written over."""

from __future__ import annotations

import filecmp
import os
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tlkit.folders.listing import NO_TEXT, list_folder
from tlkit.folders.pictures import PictureError, is_picture_name, read_picture
from tlkit.folders.unpacking import Unpacked, unusable_name
from tlkit.words import is_text, printable, shortened

__all__ = ["THERE", "Contents", "NewPicture", "add_pictures", "contents", "no_label", "shown_name"]

THERE = "there already"  # why a picture is left out whose bytes its class has
_LINE = 80  # characters of a stranger's name that a message shows


@dataclass(frozen=True)
class NewPicture:
    """A picture that is to be added.

    Args:
        label: Its class.
        name: What it shall be called there, with its suffix.
        file: Where it lies now; it is moved from there.
    """

    label: str
    name: str
    file: Path


@dataclass(frozen=True)
class Contents:
    """How many pictures each class of a folder has, and the bytes of all of them."""

    classes: dict[str, int]
    n_bytes: int

    @property
    def n_pictures(self) -> int:
        """The pictures of all classes."""
        return sum(self.classes.values())


def contents(folder: Path) -> Contents:
    """What is in a folder of class folders by its names alone; nothing, if it is not there yet.

    Raises:
        ValueError: It is there, and no folder.
    """
    if not os.path.lexists(folder):
        return Contents({}, 0)
    listing = list_folder(folder)
    classes = {label: len(files) for label, files in listing.classes.items()}
    return Contents(classes, sum(file.stat().st_size for file in listing.files()))


def shown_name(name: str) -> str:
    """A stranger's name for a message: one line, not too long."""
    return printable(shortened(name, _LINE))


def no_label(label: str) -> str:
    """Why this cannot be the name of a class folder; empty where it can."""
    if not label.strip():
        return "no name"
    if label != label.strip():
        return "a space at one end"
    return _no_name(label)


def _no_name(name: str) -> str:
    if "/" in name or "\\" in name:
        return "a name that leads out of the folder"
    if not is_text(name):
        return NO_TEXT
    if name.startswith(".") or name == "__MACOSX":
        return "a hidden name"
    return unusable_name(name)


def add_pictures(
    pictures: Sequence[NewPicture],
    into: Path,
    *,
    max_files: int,
    max_bytes: int,
    go_on: Callable[[int], None] = lambda done: None,
) -> Unpacked:
    """Move pictures into ``into/label/name``; all are read before the first one is moved.

    A picture is left out, with the reason, when it cannot be read, its name or its label cannot be used, its class
    folder is a link out of the folder, or it is there already. Another picture of the same name gets a number.

    Args:
        into: A folder of class folders; made when it is not there.
        max_files: Pictures that the folder may hold in all.
        max_bytes: Bytes that they may take in all.
        go_on: Called before each reading with the number of pictures that are done; what it raises ends all, and
            nothing has been moved by then.

    Raises:
        ValueError: The folder would hold more than a limit, or ``into`` is no folder.
        OSError: ``into`` cannot be written.
    """
    there = contents(into)
    skipped: dict[str, str] = {}
    good: list[NewPicture] = []
    total = there.n_bytes

    def leave_out(picture: NewPicture, reason: str) -> None:
        name = shown_name(picture.name)  # another class may have left out one of the same name
        skipped[name if name not in skipped else f"{shown_name(picture.label)}/{name}"] = reason

    for done, picture in enumerate(pictures):
        go_on(done)
        reason = _refused(picture)
        if reason:
            leave_out(picture, reason)
            continue
        good.append(picture)
        total += picture.file.stat().st_size
        if there.n_pictures + len(good) > max_files:
            raise ValueError(f"the folder may hold at most {max_files:,} pictures, got more.")
        if total > max_bytes:
            raise ValueError(f"the pictures may take at most {max_bytes:,} bytes in all, got more.")
    go_on(len(pictures))
    if not good:
        return Unpacked((), skipped)
    into.mkdir(parents=True, exist_ok=True)
    listing = list_folder(into)
    kept_out = {_same(name): reason for name, reason in listing.ignored.items() if "/" not in name}
    spelling = {_same(label): label for label in listing.classes}
    taken: dict[str, dict[str, Path]] = {}
    written = []
    for picture in good:
        label = unicodedata.normalize("NFC", picture.label)
        key = _same(label)
        folder = into / spelling.setdefault(key, label)
        if key in kept_out:
            leave_out(picture, f"its class folder is {kept_out[key]}")
            continue
        folder.mkdir(exist_ok=True)
        names = taken.setdefault(key, {_same(file.name): file for file in folder.iterdir()})
        path = _free(folder, unicodedata.normalize("NFC", picture.name), picture.file, names)
        if path is None:
            leave_out(picture, THERE)
            continue
        picture.file.rename(path)
        names[_same(path.name)] = path
        written.append(path)
    return Unpacked(tuple(written), skipped)


def _same(name: str) -> str:
    """Equal for names that are one on some system: Cat and cat on Windows, ä and ä in two letters on macOS."""
    return unicodedata.normalize("NFC", name).casefold()


def _refused(picture: NewPicture) -> str:
    if reason := _no_name(picture.name):
        return reason
    if not is_picture_name(picture.name):
        return f"not a picture ({Path(picture.name).suffix.lower() or 'no suffix'})"
    if reason := no_label(picture.label):
        return f"its class: {reason}"
    try:
        read_picture(picture.file, (16, 16), 1)  # all of it: a file can be cut short behind a whole header
    except PictureError as error:
        return error.reason
    return ""


def _free(folder: Path, name: str, file: Path, names: dict[str, Path]) -> Path | None:
    """Where a file can go under this name, or with a number in it; ``None`` if the same bytes are there."""
    stem, suffix = Path(name).stem, Path(name).suffix
    number = 1
    while (there := names.get(_same(name))) is not None:
        if there.is_file() and filecmp.cmp(there, file, shallow=False):
            return None
        number += 1
        name = f"{stem}-{number}{suffix}"
    return folder / name
