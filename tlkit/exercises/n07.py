"""Notebook 07: scores at a threshold, a precision elsewhere, two models on the same images."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit.grading.checks import check_example, check_result, check_same

_EXACT = 0.975  # of the normal distribution, below which the upper end of a 95 % interval lies
_LUCK = 0.2  # the part by which a bootstrap of a thousand draws may miss an interval's width


def check_1(answer: Any) -> None:
    """A threshold is a choice: a lower one finds more of the eights, and takes more other digits for eights."""
    reread = "notebook 07, section 3"
    three = np.array([0.9, 0.5, 0.4]), np.array([True, False, True])
    check_example(answer, (*three, 0.5), (1 / 2, 1 / 2), reread=reread)

    def scores(says: Any, is_eight: Any, threshold: float) -> tuple[float, float]:
        hits = sum(bool(eight) and score >= threshold for score, eight in zip(says, is_eight, strict=True))
        return hits / sum(is_eight), hits / sum(score >= threshold for score in says)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        says = rng.integers(0, 11, size=60) / 10
        return says, rng.permutation(np.arange(60) < 12), float(rng.choice(says))  # a score lies on the threshold

    check_same(answer, scores, draw, seed=701, reread=reread)


def check_2(answer: Any) -> None:
    """The same model, elsewhere: the rarer the class, the more of what is called so is a false alarm."""
    reread = "notebook 07, section 3"
    check_example(answer, (np.array([[90, 10], [20, 80]]), 0.5), 8 / 9, reread=reread)

    def precision(matrix: Any, share: float) -> float:
        (right_no, false_alarms), (misses, hits) = matrix
        called = share * hits / (hits + misses), (1 - share) * false_alarms / (right_no + false_alarms)
        return float(called[0] / sum(called))

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        return rng.integers(1, 200, size=(2, 2)), float(rng.uniform(0.001, 0.9))

    check_same(answer, precision, draw, seed=702, reread=reread)


def check_3(answer: Any) -> None:
    """Both models meet the same drawn images: what both read, or both miss, no longer widens the interval."""
    from scipy import stats

    def width(ends: Any, first: Any, second: Any, rng: Any) -> str:
        apart = np.subtract(first, second, dtype=float)
        half = stats.norm.ppf(_EXACT) * apart.std() / np.sqrt(len(apart))
        if len(ends) != 2:
            return f"must return the two ends of an interval, got {len(ends)} numbers"
        if abs(np.mean(ends) - apart.mean()) > _LUCK * half:
            return f"must return an interval around {apart.mean():.3f}, got {ends[0]:.3f} to {ends[1]:.3f}"
        if abs((ends[1] - ends[0]) / 2 - half) > _LUCK * half:
            return f"must return an interval about {2 * half:.3f} wide for these two, got {ends[1] - ends[0]:.3f}"
        return ""

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        first = rng.random(2000) < rng.uniform(0.7, 0.9)
        turned = rng.random(2000) < rng.uniform(0.03, 0.06)  # images on which the two models differ
        return first, first ^ turned, np.random.default_rng(int(rng.integers(1000)))

    check_result(answer, width, draw, seed=703, dims=1, seconds=20, reread="notebook 07, section 5")
