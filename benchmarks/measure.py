"""Measuring: alternate the contestants, take medians, and say how noisy the machine was."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any


def seconds(run: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def alternate(contestants: dict[str, Callable[[], object]], repeats: int) -> dict[str, dict[str, float]]:
    """Median, least and most seconds of each contestant, run in turns so that a slow minute hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, run in contestants.items():
            times[name].append(seconds(run))
    return {name: summary(values) for name, values in times.items()}


def summary(values: list[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(results: dict[str, Any], *pairs: tuple[str, str]) -> dict[str, float]:
    """For each ``(slow, fast)``, how many times the median of the first is that of the second."""
    return {
        f"{slow} over {fast}, ratio of medians": results[slow]["median"] / results[fast]["median"]
        for slow, fast in pairs
    }


def machine() -> dict[str, Any]:
    """What the figures depend on: cores, threads, versions, no name of the machine itself."""
    packages = ("tensorflow", "keras", "numpy")
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": os.environ.get("OMP_NUM_THREADS", "not limited"),
        "python": sys.version.split()[0],
        **{name: importlib.metadata.version(name) for name in packages},
    }
