"""How long a learner waits: importing tlkit, ``tlkit --help``, ``tlkit info``, against a bare Python."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.measure import alternate

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

    return alternate({name: command(arguments) for name, arguments in COMMANDS.items()}, repeats)
