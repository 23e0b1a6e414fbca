"""Notebook 14: who found the partner, the gradient of NT-Xent, a loss of hidden words."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit.grading.checks import check_example, check_same


def check_1(answer: Any) -> None:
    """This is the accuracy of the pretext task; it says nothing yet of what the network is worth to you."""
    reread = "notebook 14, section 2"
    one = np.array([[1.0, 0.0], [0.0, 1.0]])
    check_example(answer, (one, 7 * one), 1.0, reread=reread)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        n = int(rng.integers(5, 12))
        one = rng.normal(size=(n, 4))
        two = one + rng.normal(size=(n, 4))
        return one * rng.uniform(0.1, 10, size=(n, 1)), two * rng.uniform(0.1, 10, size=(n, 1))

    def share(one: Any, two: Any) -> float:
        both, n = np.concatenate([one, two]), len(one)
        directions = both / np.sqrt((both**2).sum(axis=1, keepdims=True))
        found = 0
        for i in range(2 * n):
            cosines = [float(directions[i] @ other) for other in directions]
            cosines[i] = -2.0
            found += cosines.index(max(cosines)) == (i + n) % (2 * n)
        return found / (2 * n)

    check_same(answer, share, draw, seed=1401, tolerance=1e-9, reread=reread)


def check_2(answer: Any) -> None:
    """The rows add up to 0: what draws the partner near is what pushes the others away, the nearest of them most."""

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        n = int(rng.integers(2, 6))
        directions = rng.normal(size=(2 * n, 5))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return directions @ directions.T, float(rng.choice([0.05, 0.2, 1.0]))

    def gradient(similarities: Any, temperature: float) -> Any:
        size = len(similarities)
        found = np.zeros((size, size))
        for i in range(size):
            others = [k for k in range(size) if k != i]
            logits = similarities[i, others] / temperature
            exps = np.exp(logits - logits.max())
            found[i, others] = exps / exps.sum()
            found[i, (i + size // 2) % size] -= 1
        return found

    check_same(answer, gradient, draw, seed=1402, tolerance=1e-6, reread="notebook 14, section 2")


def check_3(answer: Any) -> None:
    """A network that was told the words it is not asked for could copy them; so they must not count."""

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        texts, length, words = (int(rng.integers(*ends)) for ends in ((2, 5), (3, 8), (4, 9)))
        asked = rng.random((texts, length)) < 0.4
        asked[0, 0], asked[-1, -1] = True, False
        return 3 * rng.normal(size=(texts, length, words)), rng.integers(words, size=(texts, length)), asked

    def loss(logits: Any, ids: Any, asked: Any) -> float:
        losses = np.log(np.exp(logits).sum(axis=-1)) - np.take_along_axis(logits, ids[..., None], axis=-1)[..., 0]
        return float(losses[asked].sum() / asked.sum())

    check_same(answer, loss, draw, seed=1403, tolerance=1e-6, reread="notebook 14, section 6")
