"""A sandbox for code that nobody has read: bubblewrap, where Linux has it.

What runs in it sees Python, the system's libraries, the course's pictures, what ``tlkit fetch`` fetched, and one folder
that it may write to; none of the user's other files, no network, and no environment variable that may hold a password.
See https://github.com/containers/bubblewrap.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["bubblewrap", "sandboxed_process"]

_PROGRAM = "bwrap"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc")
# Settings that decide how Python and TensorFlow reckon; anything else may be a secret.
_KEPT_VARIABLES = ("PATH", "LANG", "TZ")
_KEPT_PREFIXES = ("LC_", "PYTHON", "TF_", "OMP_", "KERAS_")
# Where what was fetched lies inside.
_FETCHED = Path("/fetched")
_PROBE_SECONDS = 60.0


def bubblewrap(writable: Path, *fetched: Path, megabytes: float | None = None) -> list[str]:
    """The beginning of a command line that runs the rest of it in a sandbox; empty where there is none.

    Args:
        writable: The folder that the command may change. It finds the same path inside.
        fetched: The folder of each collection that ``tlkit fetch`` fetches; it may be missing. The command can read
            them, and tlkit finds them inside.
        megabytes: How much temporary files may take, which are memory here; ``None`` is half of the machine's. Before
            its version 0.7 bubblewrap cannot tell, and does not limit them.
    """
    program = shutil.which(_PROGRAM)
    if program is None:
        return []
    command = [program, "--die-with-parent", "--new-session", "--unshare-all", "--clearenv"]
    for path in _SYSTEM:
        command += ["--ro-bind-try", path, path]
    command += ["--proc", "/proc", "--dev", "/dev"]
    rest = ["--tmpfs", "/tmp"]
    for path in _python_folders():
        rest += ["--ro-bind", path, path]
    for folder in fetched:
        rest += ["--ro-bind-try", str(folder), str(_FETCHED / folder.name)]
    rest += ["--setenv", "TLKIT_DATA_DIR", str(_FETCHED)]
    rest += ["--bind", str(writable), str(writable), "--chdir", str(writable), "--setenv", "HOME", "/tmp"]
    for name, value in os.environ.items():
        if name in _KEPT_VARIABLES or name.startswith(_KEPT_PREFIXES):
            rest += ["--setenv", name, value]
    lines = [[*command, *rest]]
    if megabytes is not None:
        lines.insert(0, [*command, "--size", str(int(megabytes * 2**20)), *rest])
    return next((line for line in lines if _works(line)), [])


def _python_folders() -> list[str]:
    """What Python imports from; of a checkout of tlkit only package and pictures, since solutions lie beside them."""
    package = Path(__file__).resolve().parents[1]
    # What pip installs holds the pictures inside the package.
    pictures = [package.parent / "notebooks" / name for name in ("photos", "drawings")]
    folders = [Path(sys.prefix), Path(sys.base_prefix), package, *pictures]
    folders += [Path(entry) for entry in sys.path if entry and Path(entry).resolve() != package.parent]
    return sorted({str(folder.absolute()) for folder in folders if folder.exists()})


def _works(command: list[str]) -> bool:
    """Whether the kernel lets this user make a sandbox, and Python starts in it."""
    try:
        probe = subprocess.run(
            [*command, sys.executable, "-c", "import tlkit"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0


def sandboxed_process(pid: int) -> Any:
    """The process that runs in the sandbox that was started as ``pid``, or ``pid``'s own if that is no sandbox.

    bubblewrap stays above what it starts, once outside and once inside. ``None`` while it has not started it yet, and
    when all is over.
    """
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        while process.name() == _PROGRAM:
            children = process.children()
            if not children:
                return None
            process = children[0]
        return process
    return None
