"""An answer that is a number, or a few of them."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["check_numbers"]


def check_numbers(answer: Any, wanted: Any, *, hint: str, tolerance: float = 1e-6) -> None:
    """The answer is what is wanted, up to rounding; the message gives the hint, and never the right number.

    Args:
        wanted: A number, or a list of them.
        hint: A sentence on what to think of.
        tolerance: Largest difference allowed, relative to the largest number that is wanted.

    Raises:
        AssertionError: It is something else.
    """
    expected = np.asarray(wanted, dtype=float)
    try:
        given = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        given = None
    if given is None or given.shape != expected.shape:
        what = f"a list of {len(expected)} numbers" if expected.ndim else "a number"
        raise AssertionError(f"the answer must be {what}, got {answer!r}.")
    if not np.allclose(given, expected, rtol=0, atol=tolerance * abs(expected).max()):
        raise AssertionError(f"it is not {answer!r}. {hint}")
