"""Notebook 08: harm needs a baseline, what a score costs, a choice that noise cannot win."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit.grading.checks import call_student, check_example, check_same

_HURT = {"maps", "sounds"}  # the whole interval of the difference to raw pixels lies below 0
_UNDECIDED = "shoes"
_PER_CLASS, _CLASSES = 20, 3


def check_1(answer: Any) -> None:
    """Harm is shown where the whole interval lies below 0, and has a baseline: against scratch, sounds alone hurt."""
    if not isinstance(answer, set | frozenset | list | tuple):
        raise AssertionError(f"Name the sources in a set, got {answer!r}.")
    found = {str(name).strip().lower() for name in answer}
    if _UNDECIDED in found:
        raise AssertionError(f"The interval of {_UNDECIDED} holds 0: what it loses may be chance.")
    if found != _HURT:
        raise AssertionError(
            "Read the column `minus raw pixels`, and take each source whose whole interval lies below 0. "
            "Reread notebook 08, section 1."
        )


def check_2(answer: Any) -> None:
    """A score is worth what its first place is worth; where several share it, you take one of them blindly."""
    reread = "notebook 08, section 5"
    check_example(answer, (np.array([3, 1, 2]), np.array([0.5, 0.25, 0.75])), 0.25, reread=reread)

    def lost(scores: Any, accuracies: Any) -> float:
        first = [accuracy for score, accuracy in zip(scores, accuracies, strict=True) if score == max(scores)]
        return float(max(accuracies) - sum(first) / len(first))

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        return rng.integers(-3, 3, size=12), rng.random(12)  # few values: the first place is mostly shared

    check_same(answer, lost, draw, seed=802, points=20, reread=reread)


def check_3(answer: Any) -> None:
    """What was learned from a label proves nothing about it: judged on labels set aside, noise has no chance."""
    reread = "notebook 08, sections 4 and 8"
    rng = np.random.default_rng(803)
    y = np.repeat(np.arange(_CLASSES), _PER_CLASS)
    for _ in range(4):
        right, *others = (f"network {letter}" for letter in rng.permutation(list("abc")))
        features = {
            right: _features(rng, y, width=6, apart=1.5),
            others[0]: _features(rng, y, width=6, apart=0.3),
            others[1]: rng.normal(size=(len(y), 300)),  # noise, and wide
        }
        candidates = {name: features[name] for name in sorted(features)}
        chosen = call_student(answer, (candidates, y.copy()), kind=str, reread=reread)
        if chosen not in candidates:
            raise AssertionError(f"choose must return the name of a candidate, got {chosen[:40]!r}. Reread {reread}.")
        if chosen == others[1]:
            raise AssertionError(
                f"choose must not take noise: with 300 features it fits any {len(y)} labels. Reread {reread}."
            )
        if chosen != right:
            raise AssertionError(f"choose must take the candidate that tells the classes apart best. Reread {reread}.")


def _features(rng: np.random.Generator, y: Any, *, width: int, apart: float) -> Any:
    """Clouds around a centre for each class, so many standard deviations from the origin."""
    centres = np.eye(_CLASSES, width) * apart * np.sqrt(2)
    return centres[y] + rng.normal(size=(len(y), width))
