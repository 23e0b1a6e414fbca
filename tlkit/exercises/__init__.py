"""The checked exercises at the end of each notebook: ``check("03.1", answer)`` says whether an answer is right.

These are for practice and give no points: the check runs where the answer runs. Graded sets are another matter
(:mod:`tlkit.grading`). Each check looks at what an answer does, at random points or on small networks, and says in one
line what is missing. Hints and solutions stand folded in the notebook; tests hold that each solution passes and that
plausible wrong answers do not.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from tlkit.words import nearest_name, one_line, said

__all__ = ["Checked", "check", "exercises"]

#: The notebooks that have exercises, and how many each has.
COUNTS: dict[str, int] = {
    "00": 3,
    "01": 3,
    "02": 3,
    "03": 3,
    "04": 3,
    "05": 3,
    "06": 3,
    "07": 3,
    "08": 3,
    "09": 3,
    "10": 3,
    "11": 3,
    "12": 3,
    "13": 3,
    "14": 3,
    "15": 3,
    "16": 3,
    "17": 3,
    "18": 3,
    "19": 3,
    "20": 3,
}


class Checked:
    """What a check says: ``passed`` is ``None`` where there is no answer yet."""

    def __init__(self, name: str, passed: bool | None, words: str) -> None:
        self.name, self.passed, self.words = name, passed, words

    def __repr__(self) -> str:
        return f"Exercise {self.name}: {self.words}"


def exercises() -> list[str]:
    """The names of all exercises, in the order of the course: ``"01.1"`` is the first one of notebook 01."""
    return [f"{notebook}.{number}" for notebook, count in COUNTS.items() for number in range(1, count + 1)]


def check(name: str, answer: Any) -> Checked:
    """Check an answer to an exercise.

    Args:
        name: Notebook and number, such as ``"03.1"``.
        answer: What the exercise asks for, often a function; ``...`` stands for no answer yet.

    Raises:
        ValueError: There is no such exercise.
    """
    if name not in exercises():
        raise ValueError(f"name must be {nearest_name(name, exercises())}")
    notebook, number = name.split(".")
    module = importlib.import_module(f"tlkit.exercises.n{notebook}")
    judge: Callable[[Any], None] = getattr(module, f"check_{number}")
    if _is_open(answer):
        return Checked(name, None, "it waits for your answer.")
    try:
        judge(answer)
    except AssertionError as wrong:
        return Checked(name, False, f"not yet: {one_line(said(wrong))}")
    except Exception as error:  # a student's code may raise anything, and so may what looks at its results
        return Checked(name, False, f"not yet: it raised {type(error).__name__}: {one_line(said(error), 200)}")
    return Checked(name, True, f"right. {inspect.getdoc(judge)}")


def _is_open(answer: Any) -> bool:
    """Whether nothing has been written yet: ``...``, or a function whose body is ``...`` alone."""
    code = getattr(answer, "__code__", None)
    return answer is ... or (code is not None and (code.co_code, code.co_consts) == _NOTHING)


def _nothing() -> None: ...


_NOTHING = (_nothing.__code__.co_code, _nothing.__code__.co_consts)
