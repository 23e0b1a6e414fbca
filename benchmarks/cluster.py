"""Features of a folder by one process, and by Ray with one and two processes, start included; and memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import alternate, ratios, summary
from benchmarks.scale import N_CLASSES

COUNTS, IMAGE_SIZE, BACKBONE = (1250, 5000), 96, "efficientnet_lite0"
WAYS = {"one process": ("local", 0), "Ray, one process": ("ray", 1), "Ray, two processes": ("ray", 2)}


def run(counts: tuple[int, ...] = COUNTS, repeats: int = 3) -> dict[str, Any]:
    """Seconds of whole jobs, in turns; of each job's processes together the processor's seconds, and the most memory.

    The processor's seconds say what Ray costs on a machine that has other work, too.
    """
    results: dict[str, Any] = {}
    one, of_one, of_two = WAYS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in counts:
            write_pictures(folder / str(count), count)
            used: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            found: dict[str, Any] = alternate(
                {way: _contestant(folder / str(count), way, used[way]) for way in WAYS}, repeats
            )
            found |= ratios(found, (of_one, one), (of_two, one))
            cpu = {f"{way}, of the processor": summary([each["cpu"] for each in used[way]]) for way in WAYS}
            found |= cpu | ratios(
                cpu, *[(f"{way}, of the processor", f"{one}, of the processor") for way in (of_one, of_two)]
            )
            found |= {f"{way}, peak MiB": max(each["MiB"] for each in used[way]) for way in WAYS}
            results[f"{count} pictures"] = found
    return results


def write_pictures(folder: Path, count: int) -> None:
    """Random JPEGs, as large as a camera's thumbnail, in class folders."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(count):
        path = folder / str(i % N_CLASSES) / f"{i:07d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        small.resize((160, 120), Image.Resampling.BICUBIC).save(path, quality=85)


def _contestant(pictures: Path, way: str, used: list[dict[str, float]]) -> Callable[[], None]:
    engine, workers = WAYS[way]

    def job() -> None:
        with tempfile.TemporaryDirectory() as store:
            command = ["features", str(pictures), "--backbone", BACKBONE, "--image-size", str(IMAGE_SIZE)]
            command += ["--cache-dir", store, "--engine", engine]
            command += ["--workers", str(workers)] if workers else []
            process = subprocess.Popen([sys.executable, "-m", "tlkit", *command], stdout=subprocess.DEVNULL)
            used.append(_watched(process))
            if process.returncode:
                raise RuntimeError(f"tlkit features must end well, and ended with {process.returncode}.")

    return job


def _watched(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """What a process and all below it took, looked at twice a second until it ends: MiB at most, and CPU seconds.

    Memory that they share counts once (PSS, where the system tells it).
    """
    import psutil

    most, cpu = 0.0, {}
    while process.poll() is None:
        total = 0.0
        try:
            itself = psutil.Process(process.pid)
            tree = [itself, *itself.children(recursive=True)]
        except psutil.Error:
            tree = []
        for one in tree:
            try:
                total += getattr(one.memory_full_info(), "pss", 0) or one.memory_info().rss
                cpu[one] = sum(one.cpu_times()[:2])
            except psutil.Error:
                continue
        most = max(most, total / 2**20)
        time.sleep(0.5)
    return {"MiB": most, "cpu": sum(cpu.values())}
