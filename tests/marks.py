"""Which tests `make check`, `make test` and `make bank` run: what tests/seconds.csv does not say.

xdist's first process imports tests/conftest.py alone, and with it this, so it must not load TensorFlow.
"""

from collections.abc import Collection, Iterable
from typing import Any

import pytest

# Every test that was found, those included that -m leaves out: tests/conftest.py notes them.
COLLECTED = pytest.StashKey[set[str]]()

# `make test` runs these, however long they take: each notebook once, and the class on which most of grading is tested.
LONG_AND_KEPT = (
    "test_strict_nbval_within_binders_memory",
    "test_strict_nbval_where_nothing_was_fetched",
    "test_a_class_is_graded_whatever_it_hands_in",
)


def in_bank(values: Iterable[Any], *, but: Collection[Any], names: int = 1) -> list[Any]:
    """Values for ``parametrize``, of which `make test` takes a sample, those of ``but``, and `make bank` the rest.

    With several names each value is a tuple, one for each name.
    """
    values = list(values)
    assert set(but) <= set(values)
    marks = [pytest.mark.slow, pytest.mark.bank]
    cases = [(each,) if names == 1 else each for each in values]
    return [each if each in but else pytest.param(*case, marks=marks) for each, case in zip(values, cases, strict=True)]
