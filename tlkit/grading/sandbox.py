"""A sandbox for code that nobody has read: bubblewrap, where Linux has it.

What runs in it sees Python, the system's libraries, the course's pictures and what ``tlkit fetch`` fetched, and may
write temporary files of its own. It sees none of the user's other files and processes, no network, and no environment
variable that may hold a password. See https://github.com/containers/bubblewrap.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tlkit.files.fetching import fetched_folder

__all__ = [
    "adopt_orphans",
    "bubblewrap",
    "course_folders",
    "end_tree",
    "hide_memory",
    "process_tree",
    "python_folders",
    "sandboxed_process",
    "system_folders",
    "temporary_megabytes",
    "world_of_its_own",
]

_PROGRAM = "bwrap"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc")
# Settings that decide how Python and TensorFlow reckon; anything else may be a secret.
_KEPT_VARIABLES = ("PATH", "LANG", "TZ", "LD_LIBRARY_PATH")
_KEPT_PREFIXES = ("LC_", "PYTHON", "TF_", "OMP_", "KERAS_")
# It leaves out asserts, which a student's code may rely on.
_LEFT_OUT = "PYTHONOPTIMIZE"
# Where what was fetched lies inside.
_FETCHED = Path("/fetched")
_PROBE_SECONDS = 60.0
_SHARED = 64 * 2**20  # bytes for what processes share, such as a lock
_SHOWN_IN_NOTEBOOKS = "module://matplotlib_inline.backend_inline"
# Each would lead out of the home that a submission gets.
_WHERE_FILES_GO = (
    "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "TLKIT_CACHE_DIR", "KERAS_HOME", "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME",
)  # fmt: skip


def bubblewrap(*fetched: Path, megabytes: float | None = None) -> list[str]:
    """The beginning of a command line that runs the rest of it in a sandbox; empty where there is none.

    Args:
        fetched: The folder of each collection that ``tlkit fetch`` fetches; it may be missing. The command can read
            them, and tlkit finds them inside.
        megabytes: How much temporary files may take, which are memory here; ``None`` is half of the machine's. Before
            its version 0.7 bubblewrap cannot tell, and does not limit them.
    """
    program = shutil.which(_PROGRAM)
    if program is None:
        return []
    command = [program, "--die-with-parent", "--new-session", "--unshare-all", "--cap-drop", "ALL", "--clearenv"]
    for path in _SYSTEM:
        command += ["--ro-bind-try", path, path]
    command += ["--proc", "/proc", "--dev", "/dev"]
    rest = ["--tmpfs", "/tmp"]
    shared = ["--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
    for path in python_folders():
        rest += ["--ro-bind", path, path]
    for folder in fetched:
        rest += ["--ro-bind-try", str(folder), str(_FETCHED / folder.name)]
    rest += ["--setenv", "TLKIT_DATA_DIR", str(_FETCHED)]
    rest += ["--chdir", "/tmp", "--setenv", "HOME", "/tmp", "--setenv", "MPLBACKEND", _SHOWN_IN_NOTEBOOKS]
    for name, value in _public_environment().items():
        rest += ["--setenv", name, value]
    # Files there are memory, too.
    lines = [[*command, *shared, *rest]]
    if megabytes is not None:
        small = ["--size", str(min(int(megabytes * 2**20), _SHARED))]
        lines.insert(0, [*command, *small, *shared, "--size", str(int(megabytes * 2**20)), *rest])
    return next((line for line in lines if _works(line)), [])


def _public_environment() -> dict[str, str]:
    kept = {name for name in os.environ if name in _KEPT_VARIABLES or name.startswith(_KEPT_PREFIXES)}
    return {name: os.environ[name] for name in sorted(kept) if name != _LEFT_OUT}


def system_folders() -> list[str]:
    """What a program needs to run at all, and :func:`python_folders`."""
    return [*_SYSTEM, *python_folders()]


def python_folders() -> list[str]:
    """What Python imports from; of a checkout of tlkit only package and pictures, since solutions lie beside them."""
    folders = [Path(sys.prefix), Path(sys.base_prefix), *course_folders()]
    # Not the rest of sys.path: where Python was started, or a PYTHONPATH, may be the instructor's folder.
    folders += [Path(entry) for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    return sorted({str(folder.absolute()) for folder in folders if folder.exists()})


def course_folders() -> list[Path]:
    """The package, and the course's pictures beside it in a checkout: what pip installs holds them inside."""
    package = Path(__file__).resolve().parents[1]
    return [package, *(package.parent / "notebooks" / name for name in ("photos", "drawings"))]


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


def temporary_megabytes(pid: int) -> float:
    """What the temporary files of a sandbox take, which are memory and belong to no process; 0 for one without."""
    with contextlib.suppress(OSError, AttributeError):
        inside = f"/proc/{pid}/root/tmp"
        if Path(inside).stat().st_dev != Path("/tmp").stat().st_dev:
            found = os.statvfs(inside)
            return (found.f_blocks - found.f_bfree) * found.f_frsize / 2**20
    return 0.0


@contextlib.contextmanager
def world_of_its_own() -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder for one submission, and an environment with a home and temporary files in it; gone at the end.

    What one student's code leaves there (IPython runs what lies in its start-up folder) would meet the next one's. What
    was fetched stays where it is.
    """
    # Windows starts nothing without variables of its own.
    known = _public_environment() if os.name == "posix" else dict(os.environ)
    environment = {name: value for name, value in known.items() if name not in (*_WHERE_FILES_GO, _LEFT_OUT)}
    with tempfile.TemporaryDirectory(prefix="tlkit-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        for variables, place in (
            (("HOME", "USERPROFILE"), folder / "home"),
            (("TMPDIR", "TEMP", "TMP"), folder / "tmp"),
        ):
            place.mkdir()
            environment |= dict.fromkeys(variables, str(place))
        environment |= {"TLKIT_DATA_DIR": str(fetched_folder()), "MPLBACKEND": _SHOWN_IN_NOTEBOOKS}
        yield folder, environment


def process_tree(pid: int) -> list[Any]:
    """A process and all below it, each a ``psutil.Process``; none when it has ended."""
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started, in a session of its own too. In a sandbox nothing outlives it."""
    import psutil

    started = process_tree(process.pid)[1:]
    process.kill()
    for one in started:
        with contextlib.suppress(psutil.Error):
            one.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def hide_memory() -> None:
    """Keep this process's memory from other processes of the same user, where a system can (Linux).

    See ``PR_SET_DUMPABLE`` in prctl(2).
    """
    _prctl(4, 0)


def adopt_orphans() -> None:
    """Become the parent of what is started below this process and outlives its own parent, where a system can (Linux).

    A process that forks twice would otherwise be nobody's, and run on. See ``PR_SET_CHILD_SUBREAPER`` in prctl(2).
    """
    _prctl(36, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
