"""Notebook 11: attention by hand, what an attention head looks at, several heads side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit.grading.checks import check_same

_WEIGHTS = np.array([1, 2, 5, 0]) / 8  # e to the scores 0, log 2, log 5; the padding gets nothing


def check_1(answer: Any) -> None:
    """Products are divided by the root of the width, padding is left out, and what is left adds up to 1."""
    reread = "notebook 11, section 3"
    got = np.asarray(answer, dtype=float)
    if got.shape != _WEIGHTS.shape:
        raise AssertionError(f"There must be {len(_WEIGHTS)} weights in a list, got {answer!r}.")
    if not np.isclose(got.sum(), 1, atol=1e-3):
        raise AssertionError(f"The weights of a row must add up to 1, got {got.sum():.4g}.")
    if not abs(got[-1]) < 1e-3:
        raise AssertionError(f"The padding must get no weight, got {got[-1]:.4g}. Reread {reread}.")
    if not np.allclose(got, _WEIGHTS, atol=1e-3):
        raise AssertionError(
            f"The weights must be the softmax of the products, each divided by the root of the width. Reread {reread}."
        )


def check_2(answer: Any) -> None:
    """A row says who looks: the weights just left of the diagonal are those on the token before."""

    def mean_weight(weights: Any, n: int) -> float:
        return float(np.mean([weights[who][who - 1] for who in range(1, n)]))

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        weights, n = rng.random((9, 9)) + 0.1, int(rng.integers(3, 9))
        weights[:, n:] = 0  # nobody looks at padding
        return weights / weights.sum(axis=1, keepdims=True), n

    check_same(answer, mean_weight, draw, seed=1102, reread="notebook 11, section 10")


def check_3(answer: Any) -> None:
    """Each attention head mixes its own part of the values, and the parts stand side by side again at the end."""

    def side_by_side(q: Any, k: Any, v: Any, is_token: Any, heads: int) -> Any:
        width = q.shape[1] // heads
        mixed = np.zeros_like(v)
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            for who in range(len(q)):
                scores = k[is_token][:, part] @ q[who, part] / np.sqrt(width)
                weights = np.exp(scores - scores.max())
                mixed[who, part] = weights / weights.sum() @ v[is_token][:, part]
        return mixed

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        heads, width, n = int(rng.integers(2, 5)), int(rng.integers(5, 8)), int(rng.integers(4, 8))
        q, k, v = rng.normal(size=(3, n, heads * width))
        return q, k, v, np.arange(n) < rng.integers(2, n), heads  # at least one token is padding

    check_same(answer, side_by_side, draw, seed=1103, reread="notebook 11, sections 3 and 4")
