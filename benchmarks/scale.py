"""Seconds and peak memory against the number of images: ResNet50 frozen, 96 px, from a folder and a memory map."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

COUNTS = (500, 1000, 2000, 5000)
IMAGE_SIZE, N_CLASSES, EPOCHS = 96, 10, 3
MAX_BYTES = 16 * 2**20  # small, so that every size streams


def run(counts: tuple[int, ...] = COUNTS) -> dict[str, Any]:
    """Each size in a process of its own; peak memory as the operating system reports it for that process."""
    results: dict[str, Any] = {}
    for source in ("map", "folder"):
        for count in counts:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                _write_images(folder, source, count)
                command = [sys.executable, "-m", "benchmarks.scale", source, str(count), name]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                results[f"{source}, {count} images"] = json.loads(output.splitlines()[-1])
        of = {count: results[f"{source}, {count} images"] for count in counts}
        first, last = counts[0], counts[-1]
        reference = counts[1] if len(counts) > 1 else first
        results[f"{source}: seconds, {last} against {first} images, over linear"] = (
            of[last]["seconds"] / of[first]["seconds"] / (last / first)
        )
        results[f"{source}: peak memory, {last} against {reference} images"] = (
            of[last]["peak MiB"] / of[reference]["peak MiB"]
        )
    return results


def _write_images(folder: Path, source: str, count: int) -> None:
    rng = np.random.default_rng(0)
    shape = (IMAGE_SIZE, IMAGE_SIZE, 3)
    if source == "map":
        x = np.lib.format.open_memmap(folder / "x.npy", mode="w+", dtype=np.uint8, shape=(count, *shape))
        for start in range(0, count, 500):
            x[start : start + 500] = rng.integers(0, 256, (min(500, count - start), *shape), dtype=np.uint8)
        return
    from PIL import Image

    for label in range(N_CLASSES):
        (folder / "images" / str(label)).mkdir(parents=True)
    for i in range(count):
        image = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
        image.save(folder / "images" / str(i % N_CLASSES) / f"{i}.png", compress_level=1)


def _job(source: str, count: int, folder: Path) -> dict[str, float]:
    import resource
    import time

    import tlkit

    backbone = tlkit.load_backbone("resnet50", weights=None, image_size=IMAGE_SIZE)
    head = tlkit.build_head(backbone, N_CLASSES)
    start = time.perf_counter()
    if source == "map":
        train = tlkit.Split(np.load(folder / "x.npy", mmap_mode="r"), np.arange(count) % N_CLASSES)
    else:
        train = tlkit.load_folder(
            folder / "images", image_size=IMAGE_SIZE, test_fraction=0.02, cache_dir=folder, max_bytes=MAX_BYTES
        ).train
    tlkit.fine_tune(
        backbone, head, train, stage=5, epochs=EPOCHS, learning_rate=1e-3, cache_dir=folder, max_bytes=MAX_BYTES,
        progress=False,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "peak MiB": peak / (2**20 if sys.platform == "darwin" else 2**10)}


if __name__ == "__main__":
    print(json.dumps(_job(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
