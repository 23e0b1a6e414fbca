"""Notebook 16: tops of mel bands, a split that tears no speaker apart, a shift along time."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit.grading.checks import check_example, check_result, check_same
from tlkit.speech import mel_to_hertz

_DRAWS = 6


def check_1(answer: Any) -> None:
    """Evenly in mel: between two tops there are ever more hertz, as for the ear."""
    reread = "notebook 16, section 1"

    def tops(bands: int, highest: float) -> Any:
        step = 2595 * np.log10(1 + highest / 700) / (bands + 1)
        return np.array([float(mel_to_hertz(step * (1 + k))) for k in range(bands)])

    check_example(answer, (1, 6300), np.array([700 * (10**0.5 - 1)]), reread=reread, tolerance=1e-6)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        return int(rng.integers(2, 60)), int(rng.integers(2000, 12000))

    check_same(answer, tops, draw, seed=1601, tolerance=1e-6, reread=reread)


def check_2(answer: Any) -> None:
    """Whoever is tested was never heard: the score is then about people who are new."""
    drawn: list[frozenset[int]] = []

    def wrong(train: Any, test: Any, speakers: Any, n: int, seed: int) -> str:
        if sorted([*train, *test]) != list(range(len(speakers))):
            return f"must put each of {len(speakers)} recordings into one of the parts, got {len(train)} + {len(test)}"
        known, tested = ({int(speakers[int(place)]) for place in part} for part in (train, test))
        if known & tested:
            return f"must have no speaker in both parts, got {len(known & tested)} in both"
        if len(tested) != n:
            return f"must test {n} of {len(known | tested)} speakers, got {len(tested)}"
        drawn.append(frozenset(tested))
        if len(drawn) == _DRAWS and len(set(drawn)) == 1:
            return "must draw the speakers by the seed, got the same ones for each seed"
        return ""

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        speakers = rng.permutation(np.repeat(np.arange(9), rng.integers(3, 8, size=9)))
        return speakers, 3, int(rng.integers(1000))

    check_result(answer, wrong, draw, seed=1602, results=2, dims=1, points=_DRAWS, reread="notebook 16, section 4")


def check_3(answer: Any) -> None:
    """Time runs along the last axis; along the other one lies frequency, and in it the vowel."""
    reread = "notebook 16, section 1"
    picture = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    check_example(answer, (picture, 1), np.array([[[0, 1, 2], [0, 4, 5]]]), reread=reread)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        return rng.integers(1, 256, size=(3, 7, 9), dtype=np.uint8), int(rng.integers(1, 9))

    def later(pictures: Any, frames: int) -> Any:
        moments = pictures.shape[2]
        return np.pad(pictures, ((0, 0), (0, 0), (frames, 0)))[:, :, :moments]

    check_same(answer, later, draw, seed=1603, reread=reread)
