"""How fast this machine is: what to put beside the seconds of a test run, so that two machines can be told apart."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from benchmarks.measure import seconds, summary
from benchmarks.resnet50 import make_data, plain_keras

EPOCHS = 2


def run(repeats: int = 3) -> dict[str, Any]:
    """Seconds of an import of TensorFlow, and of an epoch of the plain frozen job, of which ``frozen`` has ten."""
    command = [sys.executable, "-c", "import tensorflow"]
    imports = [seconds(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(repeats)]
    # The first epoch also pays for tracing the network, so it is measured twice and taken off.
    data = make_data()
    first, both = (plain_keras(data, trainable_from=None, epochs=epochs) for epochs in (1, 1 + EPOCHS))
    return {
        "import tensorflow": summary(imports),
        "an epoch of the plain frozen job": summary([(both - first) / EPOCHS]),
    }
