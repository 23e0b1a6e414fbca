"""What guards a notebook in which a student's code runs: limits on time and memory, a fence, and seeds."""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path, PurePath
from types import FrameType
from typing import Any

import numpy as np

from tlkit.grading.meter import Meter, own_seconds

__all__ = ["allowed_here", "fence", "limited", "limits_elsewhere", "limits_here", "seed_everything"]

# A limit that has run out is raised again this often, in seconds: code that catches everything gets no rest.
_RAISED_AGAIN = 0.1
_SOONEST = 0.01  # seconds until it is looked again whether it has


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and, when it is loaded, Keras.

    Args:
        seed: 0..2**32 - 1.

    Raises:
        ValueError: ``seed`` is out of range.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be in 0..{2**32 - 1}, got {seed}.")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (what students call may use the global generator)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(seed)


# Time and memory

# When limits hold for another process: its time, and its megabytes.
_Allowed = tuple[Meter, float | None]
_ALLOWED: ContextVar[list[_Allowed] | None] = ContextVar("_ALLOWED", default=None)


@contextlib.contextmanager
def limits_elsewhere() -> Iterator[None]:
    """In the block :func:`limited` limits nothing: :func:`allowed_here` says what another process is allowed."""
    token = _ALLOWED.set([])
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def allowed_here() -> tuple[Meter, float | None] | None:
    """What :func:`limited` allows within :func:`limits_elsewhere`: the meter of its time, and the megabytes."""
    allowed = _ALLOWED.get()
    return allowed[-1] if allowed else None


class _OutOfTime(BaseException):
    """Not an ``Exception``: ``except Exception`` in a student's loop must not catch it."""


@contextlib.contextmanager
def limited(seconds: float | Meter, megabytes: float | None = None) -> Iterator[None]:
    """The block may take so long, and so much more memory than is used at its start.

    Its time is that on the processor; while others have it only a generous clock runs
    (``tlkit.grading.meter.Meter``). It is watched by a timer signal or, where there is none (Windows), by an
    interrupt from a thread. Neither ends a single long call into compiled code, or a loop that waits and catches
    everything: for these the process must be ended. Outside the main thread time is not limited, and memory is limited
    only on Linux: :func:`limits_here` says what holds.

    Args:
        seconds: Above 0; a meter if several blocks share them.
        megabytes: Above 0; ``None`` sets no limit.

    Raises:
        TimeoutError: The block took longer.
        MemoryError: It asked for more.
    """
    meter = seconds if isinstance(seconds, Meter) else Meter(seconds)
    if megabytes is not None and not megabytes > 0:
        raise ValueError(f"megabytes must be above 0, or None for no limit, got {megabytes}.")
    if (allowed := _ALLOWED.get()) is not None:
        allowed.append((meter, megabytes))
        try:
            yield
        finally:
            allowed.pop()
        return
    if threading.current_thread() is not threading.main_thread():
        clock: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    else:
        clock = _alarm(meter) if hasattr(signal, "setitimer") else _interrupt(meter)
    with _memory(megabytes), clock:
        yield


def limits_here() -> str:
    """What :func:`limited` can limit on this system and in this thread, as one sentence."""
    if threading.current_thread() is not threading.main_thread():
        clock = "Time is not limited outside the main thread"
    else:
        clock = "Time is limited"
    return f"{clock}; memory is {'limited' if sys.platform == 'linux' else 'not limited on this system'}."


@contextlib.contextmanager
def _alarm(meter: Meter) -> Iterator[None]:
    def ring(_number: int, _frame: FrameType | None) -> None:
        if (left := meter.left()) <= 0:
            raise _OutOfTime
        signal.setitimer(signal.ITIMER_REAL, max(left, _SOONEST), _RAISED_AGAIN)

    meter.begin(own_seconds)
    handler = signal.signal(signal.SIGALRM, ring)
    outer, again = signal.setitimer(signal.ITIMER_REAL, max(meter.left(), _SOONEST), _RAISED_AGAIN)
    try:
        yield
    except _OutOfTime:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise TimeoutError(f"took longer than {meter.seconds:g} s.") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        meter.end()
        if outer:  # a limit around this one goes on, and looks at its own meter
            signal.setitimer(signal.ITIMER_REAL, _SOONEST, again)


@contextlib.contextmanager
def _interrupt(meter: Meter) -> Iterator[None]:
    import _thread

    done, rang = threading.Event(), threading.Event()

    def ring() -> None:
        wait = max(meter.left(), _SOONEST)
        while not done.wait(wait):
            if (left := meter.left()) <= 0:
                rang.set()
                _thread.interrupt_main()
            wait = _RAISED_AGAIN if left <= 0 else max(left, _SOONEST)

    meter.begin(own_seconds)
    threading.Thread(target=ring, daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        if not rang.is_set():
            raise  # from the keyboard
        done.set()
        raise TimeoutError(f"took longer than {meter.seconds:g} s.") from None
    finally:
        done.set()
        meter.end()


@contextlib.contextmanager
def _memory(megabytes: float | None) -> Iterator[None]:
    if megabytes is None or sys.platform != "linux":
        yield
        return
    import resource

    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    allowed = used + int(megabytes * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (allowed if hard == resource.RLIM_INFINITY else min(allowed, hard), hard))
    try:
        yield
    except MemoryError:
        raise MemoryError(f"needed more than {megabytes:g} MB.") from None
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


# The fence


def fence(*, max_printed: int = 1_000_000) -> None:
    """For the autograder, before the first cell: no network, no other program, no look at notebooks and gradebooks.

    Code that tries gets a ``PermissionError`` that says so, what is printed beyond ``max_printed`` characters raises a
    ``RuntimeError``, and ``exit()`` no longer ends the kernel with all its points. It holds until the process ends.

    A fence, not a wall: Python's audit hooks see what Python code opens, and not what a compiled extension does.

    Args:
        max_printed: Characters over the whole notebook; on standard error, where Python itself reports, what goes
            beyond is dropped without an error.
    """
    if not max_printed > 0:
        raise ValueError(f"max_printed must be above 0, got {max_printed}.")
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None:
        shell.ask_exit = lambda: None  # what exit() and quit() call; the flag that keeps the kernel is one they set
    sys.stdout = _Metered(sys.stdout, max_printed, loud=True)
    sys.stderr = _Metered(sys.stderr, max_printed, loud=False)
    sys.addaudithook(_forbid)


_NETWORK = frozenset({"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"})
_PROGRAMS = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.spawn"}
)
_FILES = frozenset({"open", "os.remove", "os.rename", "os.truncate", "os.link", "os.symlink", "shutil.copyfile"})
_KEPT_FROM_STUDENTS = re.compile(r"\.ipynb$|\.db(\?.*)?$|nbgrader_config\.py$|(^|[/\\])ps\d+_\w+\.py$")


def _forbid(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _NETWORK:
        raise PermissionError("an exercise is graded without a network.")
    if event in _PROGRAMS:
        raise PermissionError("an exercise is graded without starting other programs.")
    if event in _FILES or event == "sqlite3.connect":
        for argument in arguments[:2]:
            if hasattr(argument, "__fspath__") and not isinstance(argument, PurePath | os.DirEntry):
                raise PermissionError("while an exercise is graded a file must be named by a text or a Path.")
            if isinstance(argument, str | bytes | PurePath) and _KEPT_FROM_STUDENTS.search(os.fsdecode(argument)):
                raise PermissionError("notebooks and gradebooks are closed while an exercise is graded.")


class _Metered(io.TextIOBase):
    """A stream that refuses what goes beyond a budget of characters."""

    def __init__(self, stream: Any, budget: int, *, loud: bool) -> None:
        self._stream, self._left, self._loud = stream, budget, loud

    def write(self, text: str) -> int:
        self._left -= len(text)
        if self._left >= 0:
            self._stream.write(text)
        elif self._loud:
            raise RuntimeError("printed more than an exercise may print.")
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
