"""Notebook 01: a gradient on paper, labels that do not exclude each other, and one layer more."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

from tlkit.exercises.answers import check_numbers
from tlkit.grading.checks import check_same


def check_1(answer: Any) -> None:
    """What the right class is pushed up, the others are pushed down together: the three numbers add up to zero."""
    wanted = softmax(np.log([1.0, 2.0, 5.0])) - [0, 0, 1]
    check_numbers(
        answer, wanted.tolist(), tolerance=1e-3, hint="The probabilities are 1, 2 and 5 eighths; subtract the label."
    )


def check_2(answer: Any) -> None:
    """The gradient is again what you predicted minus what you should have, and each class is pushed by itself."""

    def right(z: Any, y: Any) -> tuple[Any, Any]:
        return -np.sum(y * log_expit(z) + (1 - y) * log_expit(-z)), expit(z) - y

    def draw(rng: np.random.Generator) -> tuple[Any, Any]:
        n = int(rng.integers(2, 8))
        return rng.normal(scale=2, size=n), rng.integers(0, 2, size=n).astype(float)

    def far(rng: np.random.Generator) -> tuple[Any, Any]:
        z, y = draw(rng)
        return 800 * np.sign(z), y

    check_same(answer, right, draw, seed=12, points=8, reread="section 7, on the sigmoid")
    check_same(answer, right, far, seed=13, points=8, reread="section 2: with logits of 800 nothing may overflow")


def check_3(answer: Any) -> None:
    """What goes back is the error, through the weights and through the units that were on: that is backpropagation."""

    def loss(V: Any, W: Any, x: Any, y: Any) -> float:
        return float(-np.sum(y * log_softmax(W @ np.maximum(V @ x, 0))))

    def numeric(V: Any, W: Any, x: Any, y: Any) -> tuple[Any, Any]:
        return (
            _slopes(lambda moved: loss(moved, W, x, y), V),
            _slopes(lambda moved: loss(V, moved, x, y), W),
        )

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        d, hidden, k = (int(n) for n in rng.integers(3, 7, size=3))
        label = np.eye(k)[rng.integers(k)]
        return rng.normal(size=(hidden, d)), rng.normal(size=(k, hidden)), rng.normal(size=d), label

    check_same(answer, numeric, draw, seed=14, points=6, reread="section 4, on what a head sends back")


def _slopes(loss: Any, at: Any, h: float = 1e-5) -> Any:
    """The numeric gradient of section 3."""
    found = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[place] = h
        found[place] = (loss(at + step) - loss(at - step)) / (2 * h)
    return found
