"""How long a learner waits: importing tlkit, the command's first words, against a bare Python."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.measure import alternate, summary

COMMANDS = {
    "python": ["-c", "pass"],
    "import tlkit": ["-c", "import tlkit"],
    "tlkit --help": ["-m", "tlkit", "--help"],
    "tlkit info --no-devices": ["-m", "tlkit", "info", "--no-devices"],
    "import tensorflow": ["-c", "import tensorflow"],
}


def run(repeats: int = 7) -> dict[str, Any]:
    """Seconds of each command in a fresh process."""

    def command(arguments: list[str]) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    results: dict[str, Any] = alternate({name: command(arguments) for name, arguments in COMMANDS.items()}, repeats)
    if sys.platform != "win32":
        results["tlkit demo, first output"] = summary([_first_output(["-m", "tlkit", "demo"]) for _ in range(repeats)])
    return results


def _first_output(arguments: list[str]) -> float:
    """Seconds until a command shows something on a terminal; the command is then ended."""
    import pty

    ours, theirs = pty.openpty()
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=theirs, stderr=theirs, stdin=theirs)
    try:
        os.read(ours, 1)
        return time.perf_counter() - start
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)
