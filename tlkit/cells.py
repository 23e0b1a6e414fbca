"""White blood cells under two microscopes, fetched once by `tlkit fetch cells`: two domains with the same classes.

They are https://github.com/zxaoyou/segmentation_WBC (Zheng, Wang, Wang & Liu, 2018, Micron 107, 55-71,
doi:10.1016/j.micron.2018.01.010), GPL-3.0 by the repository's LICENSE. Dataset 1 is from Jiangxi Tecom, rapidly stained
and mostly yellow, dataset 2 from the blog of CellaVision, purple. Class labels were partly added by the authors, and no
expert has checked them. They are for teaching, and for no diagnosis: docs/data-cards.md.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tlkit import files
from tlkit.domains import Domain, Split, check_seed, check_share
from tlkit.files import Collection, PinnedFolder, github_archive
from tlkit.folders.loading import picture_shape, split_files
from tlkit.folders.pictures import read_picture
from tlkit.words import nearest_name

__all__ = ["CELLS", "cells_folder", "fetch_cells", "load_cells"]

_NAME = "segmentation_WBC"
_PARTS = {"tecom": "Dataset 1", "cellavision": "Dataset 2"}
CELLS = Collection(
    "cells",
    {
        _NAME: PinnedFolder(
            parts=tuple(_PARTS.values()),
            files=404,
            bytes=39_640_439,
            sha256="5abd60449c76c8352ac2ee1400984f9b3bcf1a8329a7afe02f01047d3725264d",
            archive=github_archive(f"zxaoyou/{_NAME}", "fa9c01622f52bccb9aeb8a6f2628f564e377767d"),
            suffixes=(".bmp",),  # the pictures; masks of cells lie beside them as .png
            beside=(*(f"Class Labels of {part}.csv" for part in _PARTS.values()), "LICENSE", "README.rst"),
        )
    },
    "400 pictures of white blood cells",
)
CLASSES = ("neutrophil", "lymphocyte", "monocyte", "eosinophil")  # labels 1 to 4; 5 is basophil, 1 and 3 pictures

# Fourteen cells are in dataset 1 twice, cropped otherwise: found by the correlation of their middles, and looked at.
# Each stays once, but 60 and 90: these two pictures of one cell have different labels.
_SEEN_BEFORE = {"tecom": (60, 72, 73, 75, 82, 84, 86, 89, 90, 91, 92, 139, 158, 169, 171), "cellavision": ()}


def fetch_cells(
    source: str | Path | None = None,
    *,
    report: Callable[[str], None] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Fetch the pictures if they are missing or altered; see :func:`tlkit.files.fetch`, also for errors."""
    return files.fetch(CELLS, source, report=report, progress=progress)


def cells_folder() -> Path:
    """The folder of the pictures, found whole: ``Dataset 1``, ``Dataset 2``, and a CSV file of labels for each.

    Raises:
        tlkit.files.NotFetchedError: They were not fetched, or one of them was altered.
    """
    return files.fetched_file(CELLS, _NAME)


def load_cells(name: str, *, image_size: int = 96, test_fraction: float = 0.5, seed: int = 0) -> Domain:
    """The white blood cells of one microscope as a domain; no network is used.

    Left out are basophils (one picture and three) and, of 14 cells that are in dataset 1 twice, the second picture;
    where two pictures of one cell have different labels, both. Which cells are of one patient is not known, so the
    split is by cell.

    Args:
        name: ``"tecom"``, dataset 1, 284 pictures of 88 to 120 pixels a side; or ``"cellavision"``, dataset 2, 97 of
            300 by 300.
        image_size: Side in pixels: each picture is cropped around its centre to a square, and scaled.
        test_fraction: The share of each class that is the test part.
        seed: Of the stratified split.

    Returns:
        A domain of the four classes neutrophil, lymphocyte, monocyte and eosinophil: 172, 49, 41 and 22 pictures in
        dataset 1, 33, 37, 15 and 12 in dataset 2; ``(side, side, 3)`` ``uint8``.

    Raises:
        ValueError: ``name`` is unknown, or ``image_size``, ``test_fraction`` or ``seed`` is out of range.
        tlkit.files.NotFetchedError: The pictures were not fetched: ``tlkit fetch cells``.
    """
    if name not in tuple(_PARTS):
        raise ValueError(f"name must be {nearest_name(name, tuple(_PARTS))}")
    side = picture_shape(image_size, 3)[:2]
    check_share("test_fraction", test_fraction)
    check_seed(seed)
    folder = cells_folder()
    of_class: dict[str, list[Path]] = {each: [] for each in CLASSES}
    with (folder / f"Class Labels of {_PARTS[name]}.csv").open(newline="", encoding="utf-8") as table:
        for number, label in list(csv.reader(table))[1:]:
            if int(label) <= len(CLASSES) and int(number) not in _SEEN_BEFORE[name]:
                of_class[CLASSES[int(label) - 1]].append(folder / _PARTS[name] / f"{int(number):03d}.bmp")

    def read(part: str) -> Split:
        chosen, labels, _ = parts[part]
        return Split(np.stack([read_picture(file, side, 3) for file in chosen]), labels)

    parts = split_files(of_class, None, test_fraction, seed)
    return Domain(f"cells, {name}", read("train"), read("test"), CLASSES)
