"""The frozen and conv5 jobs on a GPU, where there is one, in float32 and in mixed precision."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import ratios, summary
from benchmarks.resnet50 import make_data, plain_keras, with_tlkit

JOBS: dict[str, tuple[int, str | None]] = {"frozen": (5, None), "conv5": (4, "conv5_block1_1_conv")}


def run(repeats: int = 3) -> dict[str, Any]:
    """Seconds of plain Keras and of tlkit (cold) for each job and precision; one line where there is no GPU."""
    from tlkit._keras import keras, tf

    devices = tf.config.list_physical_devices("GPU")
    if not devices:
        return {"device": "no accelerator found; nothing measured"}
    results: dict[str, Any] = {
        "device": tf.config.experimental.get_device_details(devices[0]).get("device_name", "GPU")
    }
    data = make_data()
    before = keras.mixed_precision.dtype_policy()
    try:
        for policy in ("float32", "mixed_float16"):
            keras.mixed_precision.set_dtype_policy(policy)
            for job, (stage, trainable_from) in JOBS.items():
                times: dict[str, list[float]] = {"plain": [], "tlkit": []}
                for repeat in range(repeats + 1):
                    with tempfile.TemporaryDirectory() as folder:
                        seconds = {
                            "plain": plain_keras(data, trainable_from=trainable_from),
                            "tlkit": with_tlkit(data, stage=stage, cache_dir=Path(folder)),
                        }
                    if repeat:
                        for name, value in seconds.items():
                            times[name].append(value)
                measured: dict[str, Any] = {name: summary(values) for name, values in times.items()}
                results[f"{job}, {policy}"] = {**measured, **ratios(measured, ("plain", "tlkit"))}
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    return results
