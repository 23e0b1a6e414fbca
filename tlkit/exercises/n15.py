"""Notebook 15: what reaches the features through gradient reversal, Deep CORAL's loss, importance-weighted accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit.grading.checks import check_example, check_same


def check_1(answer: Any) -> None:
    """The classes pull the features down their loss, the domains push them up theirs; at first they hardly push."""
    reread = "notebook 15, section 3"

    def step(weights: Any, of_classes: Any, of_domains: Any, progress: float, rate: float) -> Any:
        return weights - rate * (of_classes - np.tanh(5 * progress) * of_domains)

    example = (np.array([1.0, 2.0]), np.array([0.5, 0.0]), np.array([0.0, 1.0]), 1.0, 0.1)
    check_example(answer, example, np.round(step(*example), 4), reread=reread)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        arrays = rng.normal(size=(3, 4, 5))
        return *arrays, float(rng.uniform(0, 1)), float(rng.uniform(0.01, 1))

    check_same(answer, step, draw, seed=1501, reread=reread)


def check_2(answer: Any) -> None:
    """It looks at covariances alone: a target that is only shifted has no loss, and its classes have no part in it."""
    reread = "notebook 15, the table of section 4"

    def distance(source: Any, target: Any) -> float:
        return float(((np.cov(source.T) - np.cov(target.T)) ** 2).sum() / (4 * source.shape[1] ** 2))

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        n, m, d = (int(number) for number in rng.integers(4, 20, size=3))
        return rng.normal(size=(n, d)), 2 * rng.normal(size=(m, d)) + 3

    check_same(answer, distance, draw, seed=1502, reread=reread)


def check_3(answer: Any) -> None:
    """Examples of the source count as often as the target has their like; under covariate shift that is fair."""
    reread = "notebook 15, section 5"

    def weighted(labels: Any, predictions: Any, chances: Any) -> float:
        weights = chances / (1 - chances)
        return float(((labels == predictions) * weights).sum() / weights.sum())

    example = (np.array([0, 1]), np.array([0, 0]), np.array([0.75, 0.5]))
    check_example(answer, example, 0.75, reread=reread)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        return rng.integers(0, 3, 40), rng.integers(0, 3, 40), rng.uniform(0.02, 0.98, 40)

    check_same(answer, weighted, draw, seed=1503, reread=reread)
