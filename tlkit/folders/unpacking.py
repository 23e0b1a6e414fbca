"""Pictures from a zip that somebody sent: nothing is written outside one folder, and no bomb goes off."""

from __future__ import annotations

import contextlib
import io
import re
import stat
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tlkit.files.paths import check_path
from tlkit.folders.pictures import is_picture_name
from tlkit.words import printable, reason

__all__ = ["Unpacked", "unpack_pictures", "unusable_name"]

_BLOCK = 2**20
_LONGEST_NAME = 200  # bytes; most systems take 255
_NOT_PORTABLE = re.compile(r'[<>:"|?*\x00-\x1f\x7f]|[. ]$')
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")  # "cat\u202egnp.exe" reads as cat, exe.png
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|$)", re.IGNORECASE)
_READING_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


@dataclass(frozen=True)
class Unpacked:
    """What came out of a zip.

    Args:
        pictures: The files that were written, ``into/class/name``.
        skipped: What was left out, under its name in the zip, and the reason.
    """

    pictures: tuple[Path, ...]
    skipped: dict[str, str]


class _Damaged(Exception):
    """A member that cannot be read; not an error of the disk that is written to."""


@dataclass(frozen=True)
class _Limits:
    max_bytes: int
    max_ratio: float
    packed: int

    def check(self, total: int) -> None:
        if total > self.max_bytes:
            raise ValueError(f"the pictures must take at most {self.max_bytes:,} bytes unpacked, got more.")
        if total > self.max_ratio * self.packed:
            raise ValueError(
                f"the zip must unpack to at most {self.max_ratio:g} times its {self.packed:,} bytes, got more "
                "(a zip bomb?)."
            )


@dataclass(frozen=True)
class _Member:
    info: zipfile.ZipInfo
    parts: tuple[str, ...]


def unpack_pictures(
    source: bytes | memoryview | str | Path,
    into: str | Path,
    *,
    max_files: int = 10_000,
    max_bytes: int = 2**30,
    max_ratio: float = 200,
) -> Unpacked:
    """Unpack the pictures of a zip into a new folder with one subfolder per class, for :func:`tlkit.load_folder`.

    Folders above the class folders are stripped; what macOS and Windows add (``__MACOSX``, hidden files) is dropped
    without a word. A file is skipped, with the reason, when it is no picture by its name, a link, damaged, not in a
    class folder, or when its name leads out of the folder, cannot be used on Windows, or differs from another one
    only by case. Everything is written to a temporary folder beside ``into`` and renamed at the end.

    Args:
        source: The zip as bytes, or its path.
        into: A folder that does not exist yet, or is empty.
        max_files: Pictures that the zip may hold.
        max_bytes: Bytes that may be written; they are counted as they come, whatever the zip says.
        max_ratio: Bytes written for each byte of the zip. Deflate reaches 1,032, a flat drawing saved as BMP about
            100, photos 1.

    Raises:
        ValueError: No zip, an encrypted one, one above a limit, one without a picture in a class folder, or ``into``
            is in use.
        OSError: ``into`` cannot be written.
    """
    into = check_path("into", into, "a folder")
    if not isinstance(source, bytes | memoryview):
        source = check_path("source", source, "a zip")
    if into.is_symlink() or (into.exists() and (not into.is_dir() or any(into.iterdir()))):
        raise ValueError(f"into must be a new or an empty folder, got {str(into)!r}.")
    if not isinstance(source, bytes | memoryview) and not source.is_file():
        raise ValueError(f"source must be a zip, got {str(source)!r}, which is no file.")
    with io.BytesIO(source) if isinstance(source, bytes | memoryview) else source.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        if size > max_bytes:
            raise ValueError(f"the zip must have at most {max_bytes:,} bytes, got {size:,}.")
        try:
            archive = zipfile.ZipFile(file)
        except _READING_ERRORS as error:
            raise ValueError(
                f"source must be a zip that can be read, got one that cannot ({reason(error, 100)})."
            ) from error
        skipped: dict[str, str] = {}
        members = _placed(_pictures(archive, skipped), skipped)
        if len(members) > max_files:
            raise ValueError(f"the zip must hold at most {max_files:,} pictures, got {len(members):,}.")
        into.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{into.name}-", dir=into.parent) as temporary:
            folder = Path(temporary, "pictures")  # the temporary one itself is closed to other users
            written = _write(archive, members, folder, skipped, _Limits(max_bytes, max_ratio, size))
            if not written:
                reasons = ", ".join(sorted(set(skipped.values()))) or "no file"
                raise ValueError(f"the zip must hold pictures in one folder per class, got none ({reasons}).")
            if into.exists():
                into.rmdir()  # Windows renames onto nothing that exists
            folder.rename(into)
    return Unpacked(tuple(into.joinpath(*parts) for parts in written), skipped)


def unusable_name(name: str) -> str:
    """Why neither a file nor a folder may have this name, on whatever system; empty where it may."""
    if _NOT_PORTABLE.search(name) or _RESERVED.match(name):
        return "a name that Windows cannot have"
    if _TURNING.search(name):
        return "a name with a mark that turns the direction of reading"
    if len(name.encode(errors="surrogatepass")) > _LONGEST_NAME:
        return f"a name longer than {_LONGEST_NAME} bytes"
    return ""


def _pictures(archive: zipfile.ZipFile, skipped: dict[str, str]) -> Iterator[_Member]:
    """The members that are pictures by their name, with a name that leads nowhere else."""
    for info in archive.infolist():
        name = unicodedata.normalize("NFC", info.filename.replace("\\", "/"))  # macOS writes an umlaut as two letters
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        if not parts or name.endswith("/") or _is_litter(parts):
            continue
        if info.flag_bits & 0x1:
            raise ValueError(f"the zip must not be encrypted, got {_shown(info)} with a password.")
        reason = _refused(info, name, parts)
        if reason:
            skipped[_shown(info)] = reason
        else:
            yield _Member(info, parts)


def _is_litter(parts: tuple[str, ...]) -> bool:
    if parts[-1] in ("Thumbs.db", "desktop.ini"):
        return True
    return any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in parts)


def _refused(info: zipfile.ZipInfo, name: str, parts: tuple[str, ...]) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)  # Unix keeps it there; 0 where another system packed
    if kind not in (0, stat.S_IFREG):
        return "a link" if kind == stat.S_IFLNK else "not a regular file"
    if name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", name):
        return "a name that leads out of the folder"
    if not is_picture_name(parts[-1]):
        return f"not a picture ({Path(parts[-1]).suffix.lower() or 'no suffix'})"
    if reason := next(filter(None, map(unusable_name, parts)), ""):
        return reason
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "compressed in another way than deflate"
    return ""


def _placed(found: Iterator[_Member], skipped: dict[str, str]) -> list[_Member]:
    """The members as ``(class, name)``, without the folders above, and each place once whatever its case."""
    members = list(found)
    while len({member.parts[0] for member in members}) == 1 and any(len(member.parts) > 2 for member in members):
        deeper = [_Member(member.info, member.parts[1:]) for member in members if len(member.parts) > 1]
        skipped |= {_shown(member.info): "not in a class folder" for member in members if len(member.parts) == 1}
        members = deeper
    placed: dict[tuple[str, str], _Member] = {}
    spelling: dict[str, str] = {}  # Cat and cat are one folder on Windows and macOS: one class
    for member in members:
        if len(member.parts) != 2:
            place = "not in a class folder" if len(member.parts) == 1 else "a folder inside a class folder"
            skipped[_shown(member.info)] = place
            continue
        label, file = member.parts
        label = spelling.setdefault(label.casefold(), label)
        key = (label, file.casefold())
        if key in placed:
            skipped[_shown(member.info)] = f"the same name as {'/'.join(placed[key].parts)}"
        else:
            placed[key] = _Member(member.info, (label, file))
    return list(placed.values())


def _write(
    archive: zipfile.ZipFile, members: list[_Member], folder: Path, skipped: dict[str, str], limits: _Limits
) -> list[tuple[str, str]]:
    """Write what is whole, and return its places."""
    written = []
    total = 0
    for member in members:
        path = folder.joinpath(*member.parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        start = total
        try:
            with path.open("xb") as file:
                for block in _blocks(archive, member.info):
                    total += len(block)
                    limits.check(total)
                    file.write(block)
            reason = "" if total > start else "empty file"
        except _Damaged as error:
            reason = f"damaged: {error}"
        if reason:
            skipped[_shown(member.info)] = reason
            path.unlink()
            with contextlib.suppress(OSError):  # it holds others
                path.parent.rmdir()
        else:
            written.append((member.parts[0], member.parts[1]))
    return written


def _blocks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(info) as packed:
            while block := packed.read(_BLOCK):
                yield block
    except _READING_ERRORS as error:
        raise _Damaged(reason(error, 100)) from error


def _shown(info: zipfile.ZipInfo) -> str:
    return printable(info.filename)
