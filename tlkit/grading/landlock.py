"""Linux's Landlock: a process gives up its rights to files, network and other processes, for good and without a helper.

It is what holds a student's process where there is no bubblewrap. See landlock(7) and
https://docs.kernel.org/userspace-api/landlock.html for the numbers below.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["give_up_rights", "landlock_version"]

# System calls; they have the same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH, _NO_NEW_PRIVILEGES = 1, 1, 38
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_NETWORK = 0b11  # TCP: bind and connect
_SCOPES = 0b11  # abstract sockets, and signals to processes that have not given up theirs


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def landlock_version() -> int:
    """The version of Landlock's interface that the system has; 0 where it has none."""
    if sys.platform != "linux":
        return 0
    version: int = ctypes.CDLL(None, use_errno=True).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    return max(0, version)


def give_up_rights(*, reads: Iterable[Path], writes: Iterable[Path]) -> bool:
    """Let this process, and all that it starts, read and write only there, and reach no network and no other process.

    Call it before the process has a second thread. From version 4 on Landlock also forbids TCP, and from version 6 on
    signals to other processes.

    Args:
        reads: Files and folders to read and execute from; what is not there is left out.
        writes: Folders to do anything in.

    Returns:
        Whether the system could; nothing has changed if not.
    """
    version = landlock_version()
    if not version:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    files = (1 << (16 if version >= 5 else 15 if version >= 3 else 14 if version >= 2 else 13)) - 1
    rules = _Ruleset(files, _NETWORK if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    try:
        for allowed, paths in ((_READ, reads), (files, writes)):
            for path in paths:
                _allow(libc, ruleset, path, allowed & files)
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, allowed: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        beneath = _PathBeneath(allowed if path.is_dir() else allowed & _OF_FILES, place)
        if libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(beneath), 0) < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{errno.errorcode.get(number)} for {path}")
    finally:
        os.close(place)
