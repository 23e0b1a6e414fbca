"""The checked exercises of the notebooks: a stub waits, the folded solution passes, plausible wrong answers do not."""

import ast
import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import build_notebooks
import pytest
from helpers import ROOT, raises_one_line

from tlkit import exercises
from tlkit._keras import keras

# Of each notebook an exercise whose check is quick.
UNDER_O = (
    *("00.1", "01.2", "02.1", "03.2", "04.1", "05.2", "06.2", "07.1", "08.1", "09.2", "10.3", "11.1", "12.2", "13.3"),
    *("14.1", "15.1", "16.1", "17.1", "18.1", "19.1", "20.1"),
)
WRONG = ROOT / "tests" / "notebook_exercises"  # NN_K_what_is_wrong.py: an answer that must not pass
CHECK = re.compile(r'check\("(\d\d\.\d)", (\w+)\)')
SOLUTION = re.compile(r"<summary>Solution</summary>\s*```python\n(.*?)```\s*</details>", re.S)
HINT = re.compile(r"<summary>Hint</summary>")
SOURCES = [source for source in build_notebooks.sources([]) if source.stem[:2] in exercises.COUNTS]


@functools.cache
def section(source: Path) -> list:
    """The cells from the heading Exercises to the next heading of its kind."""
    cells = build_notebooks.read_source(source).cells
    (start,) = [place for place, cell in enumerate(cells) if re.match(r"## (\d+\. )?Exercises$", cell.source, re.M)]
    found = [cells[start]]
    for cell in cells[start + 1 :]:
        if re.match(r"## ", cell.source) or cell.id == "way-on":
            break
        found.append(cell)
    return found


def exercise(name: str) -> tuple[str, str, str]:
    """The Markdown, the stub and the name of the answer of an exercise."""
    source = next(source for source in SOURCES if source.stem.startswith(name[:2]))
    cells = section(source)
    for place, cell in enumerate(cells):
        for found, answer in CHECK.findall(cell.source) if cell.cell_type == "code" else ():
            if found == name:
                before = [each.source for each in cells[:place] if each.cell_type == "markdown"]
                return before[-1], cell.source, answer
    raise AssertionError(f"{source.name} has no cell that checks {name}")


def outcome(code: str, name: str, answer: str) -> exercises.Checked:
    space: dict = {}
    exec(code, space)
    return exercises.check(name, space[answer])


def test_every_notebook_has_three():
    assert set(exercises.COUNTS) == {source.stem[:2] for source in build_notebooks.sources([])}
    assert all(count >= 3 for count in exercises.COUNTS.values())


@pytest.mark.parametrize("name", exercises.exercises())
def test_a_stub_waits_and_the_solution_passes(name: str):
    text, stub, answer = exercise(name)
    assert HINT.search(text), "each has a hint"
    (solution,) = SOLUTION.findall(text)
    ast.parse(solution)
    waits = outcome(stub, name, answer)
    assert (waits.passed, repr(waits)) == (None, f"Exercise {name}: it waits for your answer.")
    solved = outcome(solution, name, answer)
    assert solved.passed, repr(solved)
    assert len(repr(solved).splitlines()) == 1


@pytest.mark.parametrize("path", sorted(WRONG.glob("*.py")), ids=lambda path: path.stem)
def test_a_wrong_answer_does_not_pass(path: Path):
    name = f"{path.stem[:2]}.{path.stem[3]}"
    wrong = outcome(path.read_text(encoding="utf-8"), name, exercise(name)[2])
    assert wrong.passed is False
    assert len(repr(wrong).splitlines()) == 1


def test_what_an_answer_sets_is_not_kept_for_the_next():
    """What exercise 04.3 compares with is no older than the answer, which may have set Keras' own switches."""
    text, _, answer = exercise("04.3")
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        assert not exercises.check("04.3", lambda *_: None).passed
    finally:
        keras.config.set_dtype_policy(before)
    assert outcome(*SOLUTION.findall(text), "04.3", answer).passed


def test_metrics_of_ones_own_do_not_make_an_answer_wrong():
    text, _, answer = exercise("09.3")
    (solution,) = SOLUTION.findall(text)
    more = solution.replace("from_logits=True)", 'from_logits=True), metrics=["accuracy"]')
    assert more != solution
    assert outcome(more, "09.3", answer).passed


def test_python_without_asserts_judges_alike():
    """``python -O`` leaves each ``assert`` out: under it a wrong answer stays wrong, and a right one right."""
    assert [name[:2] for name in UNDER_O] == list(exercises.COUNTS)
    answers = []
    for name in UNDER_O:
        text, _, answer = exercise(name)
        wrong = [path.read_text(encoding="utf-8") for path in sorted(WRONG.glob(f"{name.replace('.', '_')}_*.py"))]
        answers += [
            [name, answer, code, right]
            for codes, right in ((SOLUTION.findall(text), True), (wrong, False))
            for code in codes
        ]
    job = (
        "import json, sys\n"
        "from tlkit.exercises import check\n"
        "for name, answer, code, right in json.load(sys.stdin):\n"
        "    space = {}\n"
        "    exec(code, space)\n"
        "    if check(name, space[answer]).passed is not right:\n"
        "        raise SystemExit(f'{name} says {not right} of {code}')\n"
        "print(__debug__)"
    )
    run = subprocess.run([sys.executable, "-O", "-c", job], input=json.dumps(answers), capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "False\n"), run.stderr


@pytest.mark.parametrize("name", exercises.exercises())
def test_each_has_a_wrong_answer(name: str):
    assert list(WRONG.glob(f"{name.replace('.', '_')}_*.py"))


def test_no_such_exercise():
    with raises_one_line(ValueError, "name must be one of", "'99.1'"):
        exercises.check("99.1", 1)
