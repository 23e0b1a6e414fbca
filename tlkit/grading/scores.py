"""Scores that a test hands to a student's function, for a resampling that calls them thousands of times.

A function of a test's is called through the pipe, and both processes must be woken for it. These are copied to the
student's process and called there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Share"]


@dataclass(frozen=True)
class Share:
    """The share of answers that are right or, with ``or_less``, that are right or too small.

    Args:
        or_less: Whether an answer below the right one counts, too.
        stretched: Return ``1 / (1.05 - share)``, which rises with the share and is lopsided.
    """

    or_less: bool = False
    stretched: bool = False

    def __call__(self, y: Any, answers: Any) -> float:
        """The score of answers, one for each of the right ones in ``y``."""
        y, answers = np.asarray(y), np.asarray(answers)
        share: float = np.mean(answers <= y if self.or_less else answers == y)
        return 1 / (1.05 - share) if self.stretched else share
