"""How much of its time code has used up: what others on a busy machine have had of the processor does not count."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["Meter", "own_seconds", "seconds_of"]

# By the clock a limit is so many times as long, and so many seconds more. Beside ten busy programs on two cores
# code gets a sixth of the time; what has had less than a tenth of it, and is not asleep, is ended all the same.
_CLOCK_TIMES, _CLOCK_MORE = 10, 5.0
# Who has had less than this share of the processor over this many seconds sleeps or waits: its clock counts.
_ASLEEP, _WINDOW = 0.02, 1.0
_LIST_EVERY = 0.5  # seconds: to find a process's children means to look at all processes


class Meter:
    """What is left of a limit on time.

    Counted are the seconds that code has had on the processor, at most those of the clock (many threads on many cores
    are no faster clock), and whole seconds in which it has hardly run at all: it sleeps, or waits for something. While
    others have the processor nothing is counted, up to ten times the limit by the clock.

    Args:
        seconds: Above 0.

    Raises:
        ValueError: ``seconds`` is out of range.
    """

    def __init__(self, seconds: float) -> None:
        if not seconds > 0:
            raise ValueError(f"seconds must be above 0, got {seconds}.")
        self.seconds = self._left = seconds
        self._until = time.monotonic() + _CLOCK_TIMES * seconds + _CLOCK_MORE
        self.begin(time.monotonic)

    def begin(self, spent: Callable[[], float]) -> None:
        """Count from now on; ``spent`` says how many seconds on the processor there have been."""
        self._spent, self._waits = spent, False
        self._at, self._before = time.monotonic(), spent()

    def left(self) -> float:
        """The seconds that are left; 0 or less when they are used up."""
        now, spent = time.monotonic(), self._spent()
        clock, processor = now - self._at, spent - self._before
        counted = min(clock, processor)
        if clock >= _WINDOW:
            self._left -= clock if processor < _ASLEEP * clock and not self._waits else counted
            self._at, self._before, counted = now, spent, 0.0
        return min(self._left - counted, self._until - now)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """In the block the code waits for an answer of whoever limits it: that is no sleep."""
        self._waits = True
        try:
            yield
        finally:
            self.end()
            self._waits = False

    def end(self) -> None:
        """Count no more, until it begins again."""
        now, spent = time.monotonic(), self._spent()
        self._left -= min(now - self._at, spent - self._before)
        self._at, self._before = now, spent


def own_seconds() -> float:
    """Those of this process on the processor, all of its threads, and of the children that it has waited for."""
    return time.process_time() + sum(os.times()[2:4])


def seconds_of(processes: Callable[[], Iterable[Any]]) -> Callable[[], float]:
    """A function that says how many seconds processes have had on the processor, those included that have ended since.

    A child that nobody has seen counts once its parent has waited for it.

    Args:
        processes: Gives those of now, each a ``psutil.Process``.
    """
    import psutil

    seen: dict[Any, float] = {}
    list_at = time.monotonic()

    def spent() -> float:
        nonlocal list_at
        if time.monotonic() >= list_at:
            seen.update((one, 0.0) for one in processes() if one not in seen)
            list_at = time.monotonic() + _LIST_EVERY
        for one, before in seen.items():
            with contextlib.suppress(psutil.Error, OSError):
                seen[one] = max(before, sum(one.cpu_times()[:4]))
        return sum(seen.values())

    return spent
