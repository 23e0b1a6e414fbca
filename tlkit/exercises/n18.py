"""Notebook 18: the mean of the clients' weights, an update that is refused, and what a gradient gives away."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit.grading.checks import check_example, check_same


def check_1(answer: Any) -> None:
    """Each client counts by its number of examples; no client's weights are changed."""
    reread = "notebook 18, section 2"

    def mean(weights: Any, examples: Any) -> Any:
        return np.average(np.asarray(weights), axis=0, weights=examples)

    example = ([np.array([0.0, 4.0]), np.array([3.0, 1.0])], [1, 2])
    check_example(answer, example, np.array([2.0, 2.0]), reread=reread)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        return list(rng.normal(size=(4, 3, 2))), rng.integers(1, 100, size=4).tolist()

    check_same(answer, mean, draw, seed=1801, reread=reread)


def check_2(answer: Any) -> None:
    """The norm is that of the change and counts all weights; NaN is in no order with anything."""
    reread = "notebook 18, section 6"

    def allowed(sent: Any, got: Any, most: float) -> float:
        if sent.shape != got.shape or not np.isfinite(got).all():
            return 0.0
        return float(np.linalg.norm(got - sent) <= most)

    check_example(answer, (np.array([10.0, 10.0]), np.array([13.0, 14.0]), 5.0), 1.0, reread=reread)
    check_example(answer, (np.array([10.0, 10.0]), np.array([10.0, np.nan]), 5.0), 0.0, reread=reread)
    check_example(answer, (np.zeros((1, 2)), np.zeros(2), 5.0), 0.0, reread=reread)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        sent = rng.normal(size=(3, 4))
        return sent, sent + rng.normal(size=(3, 4)), float(rng.uniform(2.5, 4.5))

    check_same(answer, allowed, draw, seed=1802, reread=reread, points=12)


def check_3(answer: Any) -> None:
    """One row of the kernel's gradient over the bias' is the input, whichever class it is taken from."""
    reread = "notebook 18, section 7"

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        x, kernel = rng.uniform(0, 1, size=6), rng.normal(size=(6, 4))
        share = np.exp(x @ kernel)
        error = share / share.sum()
        error[rng.integers(4)] -= 1
        return np.outer(x, error), error

    def leaked(kernel_gradient: Any, bias_gradient: Any) -> Any:
        return kernel_gradient[:, 0] / bias_gradient[0]

    example = (np.array([[0.2, -0.2], [-0.1, 0.1]]), np.array([0.4, -0.4]))
    check_example(answer, example, np.array([0.5, -0.25]), reread=reread)
    check_same(answer, leaked, draw, seed=1803, reread=reread)
