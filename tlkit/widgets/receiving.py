"""Files that a browser sends in pieces: what it announces is checked, and what comes is held to it.

The browser announces an upload (names and sizes, in their order), then sends the bytes of all files as one stream, a
piece a message, each after the former one has been written. Nothing that it says is believed: names are for messages
only and name no file here, sizes are counted again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlkit.folders.adding import no_label, shown_name
from tlkit.folders.pictures import is_picture_name

__all__ = ["PIECE", "Announced", "Reception", "is_zip_name", "read_announcement"]

# Bytes of a message. A Jupyter server drops the connection at a message of 10 MiB or more.
PIECE = 2**20
_LONGEST_NUMBER = 64  # characters of the number that a browser gives to an upload
_LONGEST_NAME = 1000
_MOST_OTHERS = 10_000  # files that are no pictures


@dataclass(frozen=True)
class Announced:
    """What a browser wants to send.

    Args:
        number: Its own for this upload.
        label: The class of the pictures that are in no zip.
        names: Of the files.
        sizes: Of the files, in bytes.
    """

    number: str
    label: str
    names: tuple[str, ...]
    sizes: tuple[int, ...]

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return sum(self.sizes)


def is_zip_name(name: str) -> bool:
    """Whether a file is taken for a zip by its name."""
    return name.lower().endswith(".zip")


def read_announcement(message: Mapping[str, Any], *, max_files: int, max_bytes: int) -> Announced:
    """Check what a browser wants to send.

    What is neither a zip nor a picture by its name needs no room and no class: it comes without its bytes, to be named
    among what is left out.

    Args:
        message: ``number``, ``label``, and ``files``: a list of ``{"name": ..., "size": ...}``.
        max_files: Files, and therefore pictures, that there is room for.
        max_bytes: Bytes that there is room for.

    Raises:
        ValueError: It is no such message, too much, or pictures without a class.
    """
    number, label, files = (message.get(key) for key in ("number", "label", "files"))
    if not isinstance(number, str) or not 0 < len(number) <= _LONGEST_NUMBER:
        raise ValueError(f"an upload must have a number of 1 to {_LONGEST_NUMBER} characters.")
    if not isinstance(label, str) or not isinstance(files, list) or not files:
        raise ValueError("an upload must have a label and a list of files.")
    names, sizes = [], []
    for file in files:
        name, size = (file.get("name"), file.get("size")) if isinstance(file, Mapping) else (None, None)
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
            raise ValueError(f"each file must have a name of 1 to {_LONGEST_NAME} characters.")
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise ValueError(f"the size of {shown_name(name)!r} must be 0 or more bytes, got {str(size)[:40]!r}.")
        names.append(name)
        sizes.append(size)
    pictures = [name for name in names if is_picture_name(name)]
    n_wanted = len(pictures) + sum(map(is_zip_name, names))
    if n_wanted > max_files:
        raise ValueError(f"there is room for {max_files:,} files, got {n_wanted:,}; nothing was sent.")
    if (others := len(names) - n_wanted) > _MOST_OTHERS:
        raise ValueError(f"at most {_MOST_OTHERS:,} files may be no pictures, got {others:,}; nothing was sent.")
    announced = Announced(number, label.strip(), tuple(names), tuple(sizes))
    if announced.total > max_bytes:
        raise ValueError(f"there is room for {max_bytes:,} bytes, got {announced.total:,}; nothing was sent.")
    if pictures and (reason := no_label(announced.label)):
        raise ValueError(
            f"pictures need the name of their class, such as cats, got {shown_name(announced.label)!r} ({reason})."
        )
    return announced


class Reception:
    """The files of one upload as they come in, piece by piece, each written before the next one is asked for.

    Args:
        announced: What is to come.
        folder: An empty one, in which the files are 0, 1, 2, ...
    """

    def __init__(self, announced: Announced, folder: Path) -> None:
        self.announced = announced
        self.received = 0
        self.files = tuple(folder / str(i) for i in range(len(announced.names)))
        self._at, self._left = -1, 0
        self._open_next()

    @property
    def complete(self) -> bool:
        """Whether all has come."""
        return self.received == self.announced.total

    def take(self, offset: object, buffers: Sequence[Any]) -> None:
        """Write the piece of the stream that begins at ``offset``.

        Raises:
            ValueError: Not the piece that is next, or more than was announced.
            OSError: The disk cannot take it.
        """
        if len(buffers) != 1:
            raise ValueError(f"a message must bring one piece, got {len(buffers)}.")
        if isinstance(offset, bool) or offset != self.received:
            raise ValueError(f"the next piece must begin at byte {self.received:,}, got {str(offset)[:40]!r}.")
        piece = memoryview(buffers[0]).cast("B")
        rest = self.announced.total - self.received
        if not 0 < len(piece) <= min(PIECE, rest):
            raise ValueError(f"the next piece must have 1 to {min(PIECE, rest):,} bytes, got {len(piece):,}.")
        while piece:
            part, piece = piece[: self._left], piece[self._left :]
            with self.files[self._at].open("ab") as file:
                file.write(part)
            self.received += len(part)
            self._left -= len(part)
            self._open_next()

    def _open_next(self) -> None:
        """Go on to the file that the next byte belongs to; those of 0 bytes on the way are there at once."""
        while self._left == 0 and self._at + 1 < len(self.files):
            self._at += 1
            self._left = self.announced.sizes[self._at]
            self.files[self._at].touch()
