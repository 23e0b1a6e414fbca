"""The feature store: arrays on disk, found again by what they were computed from.

A file is named ``KEY-SHA256.npy``: the key says what the array was computed from, the hash what it must contain. One
rename puts both in place, so that two processes that write the same key do no harm, and a file that was cut short or
altered is found out when it is read.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib
import importlib.util
import math
import mmap
import os
import re
import secrets
import shutil
import sys
import tempfile
import time
import warnings
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from tlkit.files.hashes import sha256
from tlkit.files.paths import check_path

__all__ = ["Parts", "Store", "StoreEntry", "array_digest", "drop_pages", "open_store", "user_store"]

Array = NDArray[Any]

# Windows has none, and there nobody can remove a file that is open.
fcntl: Any = importlib.import_module("fcntl") if importlib.util.find_spec("fcntl") else None

LIMIT_BYTES = 4 * 2**30
_NAME = re.compile(r"(?P<key>[0-9a-f]{16,})-(?P<hash>[0-9a-f]{64})\.npy")
_TEMPORARY_NAME = re.compile(r"[0-9a-f]{16}-\w+\.tmp")
_ABANDONED_AFTER_SECONDS = 24 * 3600
_BLOCK = 2**24


@dataclass(frozen=True)
class StoreEntry:
    """One stored array: its key, its size in bytes, and when it was last used (seconds since the epoch)."""

    key: str
    path: Path
    bytes: int
    last_used: float


MAX_BYTES = 256 * 2**20  # an array above this is streamed to disk and read back in pieces, unless a caller says else


def open_store(cache_dir: str | Path | None) -> Store:
    """The store in ``cache_dir``, or the user's when it is ``None``.

    Raises:
        ValueError: ``cache_dir`` is no path.
    """
    return user_store() if cache_dir is None else Store(check_path("cache_dir", cache_dir, "a folder"))


def user_store() -> Store:
    """The store in the user's cache directory; ``TLKIT_CACHE_DIR`` names another folder."""
    from platformdirs import user_cache_path

    return Store(Path(os.environ.get("TLKIT_CACHE_DIR") or user_cache_path("tlkit", appauthor=False) / "features"))


@dataclass(frozen=True)
class Store:
    """A folder of stored arrays.

    Args:
        folder: Created when something is written.
        limit_bytes: Past this the arrays that were not used for longest are removed.
    """

    folder: Path
    limit_bytes: int = LIMIT_BYTES

    def entries(self) -> list[StoreEntry]:
        """What is stored, the most recently used first."""
        found = []
        for path in self.folder.glob("*.npy") if self.folder.is_dir() else ():
            match = _NAME.fullmatch(path.name)
            if match:
                try:
                    status = path.stat()
                except FileNotFoundError:  # another process has just removed it
                    continue
                found.append(StoreEntry(match["key"], path, status.st_size, status.st_mtime))
        return sorted(found, key=lambda entry: -entry.last_used)

    def read(self, key: str, *, in_memory_up_to: int) -> Array | None:
        """The array of ``key``, or ``None``; a damaged file is removed, with a word.

        An array of more than ``in_memory_up_to`` bytes comes memory-mapped, read-only.
        """
        for path in [entry.path for entry in self.entries() if entry.key == key]:
            try:
                if sha256(path, after=key.encode()) == path.stem.partition("-")[2]:
                    os.utime(path)  # marks it as used, for eviction
                    large = path.stat().st_size > in_memory_up_to
                    array: Array = np.load(path, mmap_mode="r" if large else None, allow_pickle=False)
                    return array
                path.unlink()
            except OSError:  # unreadable, or removed by another process: as if it were not there
                continue
            warnings.warn(f"the stored array {path.name[:12]}… was damaged; it is made anew.", stacklevel=3)
        return None

    def writer(self, key: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Writer:
        """A writer for an array that comes in row by row.

        Raises:
            OSError: The folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        return Writer(self, key, shape, dtype)

    def stream(self, what: str, key: str, shape: tuple[int, ...], dtype: np.dtype[Any], rows: Iterable[Array]) -> Array:
        """Write an array batch by batch, and give back a read-only map of the file.

        Raises:
            OSError: The disk cannot hold it; ``what`` names the array in the message.
        """
        try:
            with self.writer(key, shape, dtype) as writer:
                for batch in rows:
                    writer.append(batch)
                # Mapped while the writer still holds it: from then on nobody's removal matters.
                mapped: Array = np.load(writer.commit(), mmap_mode="r", allow_pickle=False)
        except OSError as error:
            size = math.prod(shape) * dtype.itemsize
            gone = error.errno == errno.ENOENT
            raise OSError(
                f"{what} need {size / 2**20:,.0f} MiB on disk, got {error.strerror or error} in {self.folder}: "
                + ("the file was removed while it was written; call again" if gone else "free some space")
                + ", give another cache_dir, or raise max_bytes to keep them in memory."
            ) from error
        return mapped

    def stream_once(self, what: str, shape: tuple[int, ...], dtype: np.dtype[Any], rows: Iterable[Array]) -> Array:
        """The same for an array that nobody is to find again: its file goes when the array does, or with the process.

        Raises:
            OSError: As :meth:`stream`.
        """
        mapped = self.stream(what, secrets.token_hex(20), shape, dtype, rows)
        weakref.finalize(mapped, _remove, Path(mapped.filename))  # type: ignore[attr-defined]  # np.load gave a memmap
        return mapped

    def parts(self, key: str) -> Parts:
        """Where the parts of an array are kept until it is whole."""
        return Parts(self.folder / f"{key[:16]}.parts")

    def make_room(self, *, keep: Path | None = None) -> None:
        """Remove what was used longest ago until the store is within its limit, and files that a crash left behind."""
        entries = self.entries()
        total = sum(entry.bytes for entry in entries)
        for entry in reversed(entries):
            if total > self.limit_bytes and entry.path != keep:
                total -= entry.bytes
                _remove(entry.path)
        for path in self._temporary_files():
            try:
                if time.time() - path.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                    _remove_unless_held(path)
            except FileNotFoundError:
                continue

    def clear(self) -> tuple[int, int]:
        """Remove every stored array, but for those that are being written; returns how many these were, their bytes."""
        removed = [entry for entry in self.entries() if _remove_unless_held(entry.path)]
        for path in self._temporary_files():
            _remove_unless_held(path)
        for folder in self.folder.glob("*.parts"):
            Parts(folder).drop()
        return len(removed), sum(entry.bytes for entry in removed)

    def _temporary_files(self) -> list[Path]:
        return [path for path in self.folder.glob("*.tmp") if _TEMPORARY_NAME.fullmatch(path.name)]


@dataclass(frozen=True)
class Parts:
    """Parts of an array that is not whole yet, each found again by its number and checked as any stored array.

    Args:
        folder: Created when something is written.
    """

    folder: Path

    def read(self, number: int) -> Array | None:
        """A part, memory-mapped and read-only, or ``None``; a damaged one is removed, with a word."""
        return self._store(number).read(f"{number:016x}", in_memory_up_to=0)

    def keep(self, number: int, rows: Array) -> None:
        """Write a part.

        Raises:
            OSError: The folder cannot be written.
        """
        with self._store(number).writer(f"{number:016x}", rows.shape, rows.dtype) as writer:
            writer.append(rows)
            writer.commit()

    def drop(self) -> None:
        """Remove all parts."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _store(self, number: int) -> Store:
        return Store(self.folder / str(number), limit_bytes=sys.maxsize)


class Writer:
    """Writes rows to a temporary file; as a context manager it leaves nothing behind unless ``commit`` was called.

    It holds a lock on the file, which goes with the process however that ends: so :meth:`Store.clear` knows it from
    one that a crash left behind.
    """

    def __init__(self, store: Store, key: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._store, self._key = store, key
        self._hash = hashlib.sha256(key.encode())  # so that a file under another key's name is found out
        self._file, self._temporary = _held_file(store.folder, key)
        header = _Tee(self._file, self._hash)
        np.lib.format.write_array_header_2_0(
            header, {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # closing writes what is left, and the disk may be full
            self._file.close()
        _remove(self._temporary)

    def append(self, rows: Array) -> None:
        """Write further rows, in order."""
        data = np.ascontiguousarray(rows).data.cast("B")
        self._file.write(data)
        self._hash.update(data)

    def commit(self) -> Path:
        """Put the finished file in its place, and return its path; it is held until the writer is left."""
        self._file.flush()
        if fcntl is None:  # Windows renames no open file
            self._file.close()
        path = self._store.folder / f"{self._key}-{self._hash.hexdigest()}.npy"
        self._temporary.replace(path)
        self._store.make_room(keep=path)
        return path


class _Tee:
    """Lets NumPy write a header into the file and the hash at once."""

    def __init__(self, file: IO[bytes], digest: Any) -> None:
        self._file, self._digest = file, digest

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return self._file.write(data)


def _held_file(folder: Path, key: str) -> tuple[IO[bytes], Path]:
    """A new temporary file, locked."""
    while True:
        handle, name = tempfile.mkstemp(suffix=".tmp", prefix=key[:16] + "-", dir=folder)
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
        if Path(name).exists():  # nobody removed it before the lock held
            return os.fdopen(handle, "w+b"), Path(name)
        os.close(handle)


def _remove_unless_held(path: Path) -> bool:
    """Remove a file, unless a writer holds it; whether that was tried."""
    if fcntl is None:
        _remove(path)
        return True
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    except OSError:
        _remove(path)
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    else:
        _remove(path)
        return True
    finally:
        os.close(handle)
    _remove(path)
    return True


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # on Windows a file that another process maps stays until another time
        path.unlink(missing_ok=True)


def array_digest(array: Array) -> str:
    """A hash of an array's content, shape and dtype, taken block by block so that a mapped array stays on disk."""
    digest = hashlib.sha256(repr((array.shape, array.dtype.str)).encode())
    step = max(1, _BLOCK // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        digest.update(np.ascontiguousarray(array[start : start + step]).data.cast("B"))
        drop_pages(array)
    return digest.hexdigest()


def drop_pages(array: Array) -> None:
    """Give back the memory of pages that were read through a read-only map; they are read again when needed."""
    mapping = getattr(array, "_mmap", None)
    if mapping is not None and getattr(array, "mode", None) == "r" and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)
