"""A folder of many files that is pinned as a whole: its hash, and the way out of an archive.

A hosting service may pack an archive anew, and its bytes are others then; what it holds is not. So the hash is one over
the paths and the SHA-256 of the files. It is compared before anything is unpacked: no name is written that was not
pinned, and a damaged, foreign or hostile archive leaves nothing.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tlkit.words import reason

__all__ = ["BROKEN", "PinnedFolder", "difference", "places", "stamp", "unpack"]

# What a damaged archive raises, some of it only while it is read; an encrypted member is a RuntimeError.
BROKEN = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError)

_BLOCK = 2**20
_ARCHIVES = ("*.tar.gz", "*.tgz", "*.tar", "*.zip")


@dataclass(frozen=True)
class PinnedFolder:
    """What a folder of many files must hold, and the archive that carries it.

    Args:
        parts: The folders in it that are wanted; what lies beside them (a README, code) is left out.
        files: How many files they hold.
        bytes: The size of all these together.
        sha256: Of one line for each file, sorted by path: its SHA-256, two spaces, its path and a line end. It is what
            ``find PARTS -type f | LC_ALL=C sort | xargs sha256sum | sha256sum`` prints.
        archive: The address of an archive, .tar.gz or .zip.
        suffixes: Of the files in the parts only those are wanted whose names end so; empty: all.
        beside: Files beside the parts that are wanted, too, by name; ``files``, ``bytes`` and ``sha256`` count them.
    """

    parts: tuple[str, ...]
    files: int
    bytes: int
    sha256: str
    archive: str
    suffixes: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


def difference(source: Path, pinned: PinnedFolder) -> str:
    """In what a folder or an archive differs from what was pinned, in a few words; empty where it does not."""
    return _compared(source, pinned)[0]


def _compared(source: Path, pinned: PinnedFolder) -> tuple[str, set[str]]:
    """The difference, and the paths that were found."""
    lines: dict[str, str] = {}
    size = 0
    try:
        for path, stream in _members(source, pinned):
            digest = hashlib.sha256()
            while block := stream.read(_BLOCK):
                digest.update(block)
                size += len(block)
                if size > pinned.bytes:  # not one more block of what may have no end
                    return f"more than {pinned.bytes:,} bytes", set()
            lines[path] = f"{digest.hexdigest()}  {path}\n"
            if len(lines) > pinned.files:
                return f"more than {pinned.files:,} files", set()
    except (*BROKEN, ValueError, OSError) as error:
        return f"it cannot be read: {reason(error, 100)}", set()
    if not lines:
        return f"no files in folders {', '.join(pinned.parts)}", set()
    if len(lines) != pinned.files:
        return f"{len(lines):,} files, not {pinned.files:,}", set()
    listing = "".join(lines[path] for path in sorted(lines)).encode(errors="surrogateescape")
    same = hashlib.sha256(listing).hexdigest() == pinned.sha256
    return "" if same else "files or names are others", set(lines)


def unpack(source: Path, pinned: PinnedFolder, target: Path) -> str:
    """Copy what was pinned out of a folder or an archive into a new folder.

    Returns:
        Why not, where it holds something else; nothing was written then.

    Raises:
        OSError: The folder cannot be written.
    """
    why, paths = _compared(source, pinned)
    if why:
        return why
    for path, stream in _members(source, pinned):
        if path in paths:  # it would be another one only if the archive had changed since
            file = target / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as copy:
                shutil.copyfileobj(stream, copy, _BLOCK)
    return difference(target, pinned)


def places(source: Path, parts: Sequence[str]) -> list[Path]:
    """Where in a source the parts may be: an archive, or in a folder each folder that has them and each archive."""
    if not source.is_dir():
        return [source]
    found = []
    for folder, names, _ in os.walk(source):
        if set(parts) <= set(names):
            found.append(Path(folder))
            names.clear()
    return sorted(found) + sorted(archive for pattern in _ARCHIVES for archive in source.glob(pattern))


def stamp(path: Path) -> int:
    """A number that is another one when the file, or a file of the folder, has changed."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return hash(tuple((str(file), (status := file.stat()).st_size, status.st_mtime_ns) for file in files))


def _members(source: Path, pinned: PinnedFolder) -> Iterator[tuple[str, IO[bytes]]]:
    """The files that are wanted, opened, and their paths from the folder on that holds the parts."""
    above: list[str] | None = None
    for path, stream in _files(source):
        steps = [step for step in path.replace("\\", "/").split("/") if step not in ("", ".")]
        first = next((i for i, step in enumerate(steps[:-1]) if step in pinned.parts), None)
        if first is not None and pinned.suffixes and not steps[-1].endswith(pinned.suffixes):
            continue
        if first is None and steps and steps[-1] in pinned.beside:
            first = len(steps) - 1
        if first is None or any(_is_litter(step) for step in steps[first:]):
            continue
        above = steps[:first] if above is None else above
        if steps[:first] == above:
            yield "/".join(steps[first:]), stream


def _is_litter(name: str) -> bool:
    """What Windows and macOS leave in folders and put into archives; ``..`` is no litter: it makes another path."""
    return (name.startswith(".") and name != "..") or name in ("Thumbs.db", "desktop.ini", "__MACOSX")


def _files(source: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Each file of a folder or an archive, in the order in which it is read fastest; links are none."""
    if source.is_dir():
        for folder, _, names in os.walk(source):
            for name in names:
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink():
                    with path.open("rb") as stream:
                        yield path.relative_to(source).as_posix(), stream
        return
    with source.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    if not gzipped and zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    with archive.open(info) as stream:
                        yield info.filename, stream
    else:
        with tarfile.open(source, "r:gz" if gzipped else "r:") as tar:  # macOS takes the gzip away: a .tar is left
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                if content is not None:
                    with content:
                        yield member.name, content
