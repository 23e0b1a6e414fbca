"""Notebook 19: the loss of two towers, the share found among the first k, classes by their names."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit.grading.checks import check_example, check_same


def _unit(rng: np.random.Generator, n: int, d: int) -> Any:
    vectors = rng.normal(size=(n, d))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def check_1(answer: Any) -> None:
    """Each picture chooses among the names, and each name among the pictures."""
    reread = "notebook 19, section 3"

    def loss(pictures: Any, names: Any, temperature: float) -> float:
        logits = pictures @ names.T / temperature
        right = np.diag(logits)
        by_picture = right - np.log(np.exp(logits).sum(axis=1))
        by_name = right - np.log(np.exp(logits).sum(axis=0))
        return float(-(by_picture.mean() + by_name.mean()) / 2)

    check_example(answer, (np.eye(2), np.eye(2), 1.0), float(np.log(1 + np.exp(-1))), reread=reread)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        return _unit(rng, 6, 4), _unit(rng, 6, 4), float(rng.uniform(0.1, 1))

    check_same(answer, loss, draw, seed=1901, reread=reread)


def check_2(answer: Any) -> None:
    """Found is what fewer than k others come before: no more, no less."""
    reread = "notebook 19, section 4"

    def found(scores: Any, k: int) -> float:
        return float(((scores > np.diag(scores)[:, None]).sum(axis=1) < k).mean())

    example = (np.array([[0.9, 0.1, 0.5], [0.3, 0.2, 0.1], [0.6, 0.5, 0.4]]), 2)
    check_example(answer, example, 2 / 3, reread=reread)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        return rng.uniform(-1, 1, size=(12, 12)), int(rng.integers(1, 6))

    check_same(answer, found, draw, seed=1902, reread=reread, points=8)


def check_3(answer: Any) -> None:
    """The cosine decides: a name's vector must not win because it is long."""
    reread = "notebook 19, section 7"

    def classes(pictures: Any, names: Any) -> Any:
        return (pictures @ (names / np.linalg.norm(names, axis=1, keepdims=True)).T).argmax(axis=1)

    example = (np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[0.5, 0.0], [9.0, 9.0], [0.0, 0.1]]))
    check_example(answer, example, np.array([0, 2]), reread=reread)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        lengths = rng.uniform(0.1, 10, size=(5, 1))
        return rng.normal(size=(20, 4)), lengths * _unit(rng, 5, 4)

    check_same(answer, classes, draw, seed=1903, reread=reread)
