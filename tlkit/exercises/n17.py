"""Notebook 17: a rate among patients some of whom were lost, risks under another share of events, net benefit."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit.grading.checks import check_example, check_same


def check_1(answer: Any) -> None:
    """Whoever was lost counts for as long as she was followed: neither dropped nor taken for one without an event."""
    reread = "notebook 17, section 2"

    def rate(days: Any, event: Any, horizon: float) -> float:
        without = 1.0
        for day in np.unique(days[(event == 1) & (days <= horizon)]):
            without *= 1 - ((days == day) & (event == 1)).sum() / (days >= day).sum()
        return 1 - without

    check_example(answer, (np.array([1, 2, 3, 5]), np.array([1, 0, 1, 0]), 4), 0.625, reread=reread)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        return rng.integers(1, 40, size=60), rng.integers(0, 2, size=60), int(rng.integers(15, 30))

    check_same(answer, rate, draw, seed=1701, reread=reread)


def check_2(answer: Any) -> None:
    """The odds are multiplied, so that no risk leaves 0 to 1: for one and the same patient the rate decides, too."""
    reread = "notebook 17, section 4"

    def elsewhere(risks: Any, here: float, there: float) -> Any:
        odds = risks / (1 - risks) * (there / (1 - there)) / (here / (1 - here))
        return odds / (1 + odds)

    check_example(answer, (np.array([0.5, 0.8]), 0.5, 0.25), np.array([0.25, 4 / 7]), reread=reread)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        return rng.uniform(0.01, 0.99, size=20), *map(float, rng.uniform(0.05, 0.95, size=2))

    check_same(answer, elsewhere, draw, seed=1702, reread=reread)


def check_3(answer: Any) -> None:
    """The threshold says how bad a needless treatment is; a model no better than a baseline is worth nothing."""
    reread = "notebook 17, section 5"

    def worth(happened: Any, risks: Any, threshold: float) -> float:
        def benefit(treated: Any) -> float:
            needless = (treated & (happened == 0)).mean()
            return float((treated & (happened == 1)).mean() - needless * threshold / (1 - threshold))

        return benefit(risks >= threshold) - max(0.0, benefit(risks >= 0))

    example = (np.array([1, 0, 0, 1]), np.array([0.9, 0.6, 0.2, 0.3]), 0.5)
    check_example(answer, example, 0.0, reread=reread)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        risks = rng.uniform(0, 1, size=50).round(2)
        happened = (rng.uniform(0, 1, size=50) < risks).astype(int)
        return happened, risks, float(rng.choice(risks[(risks > 0.1) & (risks < 0.8)]))  # one lies on the threshold

    check_same(answer, worth, draw, seed=1703, reread=reread, points=8)
