"""ResNet50, 224 px, 100 + 50 images, 10 epochs, everything frozen: plain Keras against tlkit, and tlkit's floor."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import ratios, summary
from benchmarks.resnet50 import floor, make_data, plain_keras, with_tlkit

STAGE, TRAINABLE_FROM = 5, None


def run(repeats: int = 3) -> dict[str, Any]:
    """Seconds of each way; ``warm`` finds the features on disk."""
    return compare(STAGE, TRAINABLE_FROM, repeats)


def compare(stage: int, trainable_from: str | None, repeats: int) -> dict[str, Any]:
    """The contestants in turns, so that a slow minute hits all of them."""
    data = make_data()
    times: dict[str, list[float]] = {name: [] for name in ("plain", "cold", "warm", "floor")}
    for repeat in range(repeats + 1):
        with tempfile.TemporaryDirectory() as folder:
            measured = {
                "plain": plain_keras(data, trainable_from=trainable_from),
                "cold": with_tlkit(data, stage=stage, cache_dir=Path(folder)),
                "warm": with_tlkit(data, stage=stage, cache_dir=Path(folder)),
                "floor": floor(data, stage=stage),
            }
        if repeat:  # the first round also pays for TensorFlow's own start
            for name, seconds in measured.items():
                times[name].append(seconds)
    results: dict[str, Any] = {name: summary(values) for name, values in times.items()}
    return {**results, **ratios(results, ("plain", "cold"), ("plain", "warm"), ("cold", "floor"))}
