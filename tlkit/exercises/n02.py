"""Notebook 02: how sure no error is, near copies across a split, and features brought into the target's scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from tlkit.exercises.answers import check_numbers
from tlkit.grading.checks import check_same


def check_1(answer: Any) -> None:
    """No error in a test does not prove that there is none: with n images the rate may still be about 3/n."""
    n = 400
    bound = 1 - 0.05 ** (1 / n)  # at this rate, n images without an error have the probability 5 %
    check_numbers(answer, bound, tolerance=0.02, hint="Section 6 gives the bound for n images without an error.")


def check_2(answer: Any) -> None:
    """No hash finds a near copy, but a small distance does: look at the smallest ones before you trust a split."""

    def right(test: Any, train: Any) -> Any:
        return (cdist(*(part.reshape(len(part), -1) / 255 for part in (test, train)))).min(axis=1)

    def draw(rng: np.random.Generator) -> tuple[Any, Any]:
        shape = (int(rng.integers(4, 9)), int(rng.integers(4, 9)), 1)
        return tuple(rng.integers(0, 256, size=(n, *shape)).astype(np.uint8) for n in (7, 12))  # type: ignore[return-value]

    check_same(answer, right, draw, seed=22, reread="section 2: pixels are uint8 from 0 to 255, so scale them first")


def check_3(answer: Any) -> None:
    """Two numbers per feature need no label; CORAL also moves how features vary together."""

    def right(source: Any, target: Any) -> Any:
        spread = source.std(axis=0)
        scaled = (source - source.mean(axis=0)) / np.where(spread > 0, spread, 1)
        return scaled * target.std(axis=0) + target.mean(axis=0)

    def draw(rng: np.random.Generator, dead: int = 0) -> tuple[Any, Any]:
        width = 6
        scales, middles = rng.uniform(1, 4, size=(2, width)), rng.normal(scale=3, size=(2, width))
        source, target = rng.normal(size=(2, 80, width)) * scales[:, None] + middles[:, None]
        source[:, :dead] = 0
        return source, target

    common: dict[str, Any] = {"tolerance": 1e-2, "points": 3}
    check_same(answer, right, draw, seed=23, reread="section 8, on CORAL", **common)
    zeros = "the question: a feature may be 0 for all source images"
    check_same(answer, right, lambda rng: draw(rng, dead=2), seed=24, reread=zeros, **common)
