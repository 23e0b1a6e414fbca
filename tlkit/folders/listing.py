"""What lies in a folder of class folders: which files are pictures of which class, and what is neither."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tlkit.files.paths import check_path
from tlkit.folders.pictures import is_picture_name
from tlkit.words import is_text

__all__ = ["NO_TEXT", "OUTSIDE", "Listing", "list_folder"]

HIDDEN = "hidden"
NO_TEXT = "a name that is no text"
OUTSIDE = "a link that leads out of the folder"


@dataclass(frozen=True)
class Listing:
    """The pictures of each class in the order of their names, and the reason why another entry is none.

    Args:
        root: The folder.
        classes: The files of each class, by name alone a picture.
        ignored: For each other entry, named from ``root`` on, why it is left out.
    """

    root: Path
    classes: dict[str, list[Path]]
    ignored: dict[str, str]

    def files(self) -> list[Path]:
        """The pictures of all classes."""
        return [file for files in self.classes.values() for file in files]

    def name(self, file: Path) -> str:
        """A file as messages call it: ``class/file.png``."""
        return file.relative_to(self.root).as_posix()


def list_folder(path: str | Path) -> Listing:
    """List a folder with one subfolder per class; nothing is opened.

    Links that stay in the folder are followed; hidden entries, folders inside a class, class folders whose name is no
    text, and what leads out are not.

    Raises:
        ValueError: There is no such folder.
    """
    root = check_path("path", path, "a folder with one subfolder per class")
    if not root.is_dir():
        raise ValueError(f"path must be a folder with one subfolder per class, got {str(root)!r}.")
    inside = _real(root)
    classes: dict[str, list[Path]] = {}
    ignored: dict[str, str] = {}
    for entry in _entries(root):
        if reason := _no_class(entry, inside):
            ignored[entry.name] = reason
            continue
        files = classes[entry.name] = []
        for file in _entries(entry):
            if reason := _no_picture(file, inside):
                ignored[f"{entry.name}/{file.name}"] = reason
            else:
                files.append(file)
    return Listing(root, classes, ignored)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises where a link leads to itself


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda entry: entry.name)  # Windows compares paths in its own way


def _no_class(entry: Path, inside: Path) -> str:
    if entry.name.startswith("."):
        return HIDDEN
    if not _real(entry).is_relative_to(inside):
        return OUTSIDE
    if not entry.is_dir():
        return "not in a class folder"
    return "" if is_text(entry.name) else NO_TEXT  # the name becomes a class, which pages and files must show


def _no_picture(file: Path, inside: Path) -> str:
    if file.name.startswith("."):
        return HIDDEN
    if file.is_symlink() and not _real(file).is_relative_to(inside):
        return OUTSIDE
    if file.is_dir():
        return "a folder inside a class folder"
    if not is_picture_name(file.name):
        return f"not a picture ({file.suffix.lower() or 'no suffix'})"
    return "" if file.is_file() else "not a regular file"  # a pipe would be waited for; a link to nothing
