"""Notebook 20: returns within episodes, steps to a threshold, a head for pushes that are reversed."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tlkit.grading.checks import check_example, check_same


def check_1(answer: Any) -> None:
    """Rewards that come later count less, and none of the next episode counts."""
    reread = "notebook 20, section 3"

    def returns(rewards: Any, over: Any, discount: float) -> Any:
        found, ahead = np.zeros(len(rewards)), 0.0
        for t in reversed(range(len(rewards))):
            ahead = rewards[t] + discount * ahead * (not over[t])
            found[t] = ahead
        return found

    example = (np.ones(4), np.array([False, True, False, False]), 0.5)
    check_example(answer, example, np.array([1.5, 1.0, 1.5, 1.0]), reread=reread)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        return rng.uniform(0, 2, size=30), rng.uniform(size=30) < 0.2, float(rng.uniform(0.5, 1))

    check_same(answer, returns, draw, seed=2001, reread=reread)


def check_2(answer: Any) -> None:
    """The first evaluation at the threshold counts; a run that never gets there has used all its steps."""
    reread = "notebook 20, section 6"

    def steps_to(curve: Any, steps: Any, threshold: float) -> int:
        reached = np.flatnonzero(curve >= threshold)
        return int(steps[reached[0]] if len(reached) else steps[-1])

    check_example(answer, (np.array([20.0, 475.0, 300.0]), np.array([0, 4096, 8192]), 475.0), 4096, reread=reread)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        curve = rng.integers(0, 500, size=10).astype(float)
        return curve, np.arange(10) * int(rng.integers(1, 5000)), float(rng.choice([curve[4], 499.5]))

    check_same(answer, steps_to, draw, seed=2002, reread=reread, points=8)


def check_3(answer: Any) -> None:
    """Each push gets the probability of the other one, whatever the state: kernel and bias both change."""
    reread = "notebook 20, section 8"

    def probabilities(features: Any, head: tuple[Any, Any]) -> Any:
        logits = features @ np.asarray(head[0]) + np.asarray(head[1])
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    @functools.wraps(answer)
    def pushes(features: Any, kernel: Any, bias: Any) -> Any:
        return probabilities(features, answer(kernel, bias))

    def wanted(features: Any, kernel: Any, bias: Any) -> Any:
        return probabilities(features, (kernel, bias))[..., ::-1]

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        return rng.normal(size=(8, 5)), rng.normal(size=(5, 2)), rng.normal(size=2)

    check_same(pushes, wanted, draw, seed=2003, reread=reread)
