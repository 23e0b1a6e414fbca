"""The same job with ResNet50's last stage unfrozen, BatchNorm still frozen."""

from __future__ import annotations

from typing import Any

from benchmarks.frozen import compare


def run(repeats: int = 3) -> dict[str, Any]:
    """Seconds of each way; the floor is the trunk once and the tail's epochs."""
    return compare(4, "conv5_block1_1_conv", repeats)
