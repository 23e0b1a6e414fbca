"""Before a class the reference is graded, and who ran into a limit in the crowd is graded once more, alone."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from helpers import ROOT

from tlkit import cli
from tlkit.grading import submissions
from tlkit.grading.course import prepare_course
from tlkit.grading.submissions import find_submissions, grade_submissions
from tlkit.grading.worker import Worker

sys.path.insert(0, str(ROOT / "tests" / "exercises"))

pytest.importorskip("nbgrader", reason="needs tlkit[exercises]")
import build_exercises
import nbformat
import runner

TOY = """\
# %% [markdown]
# # NAME

# %% solution="double"
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


# %% test="double_examples" points=60
assert double(2) == 4

# %% test="double_any" points=40
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same

check_same(double, lambda x: 2 * x, lambda rng: (rng.normal(size=3),), seed=1, seconds=1, reread="the toy")
### END HIDDEN TESTS
"""
BROKEN = TOY.replace("return 2 * x", "return 3 * x")
SLOW = TOY.replace("    return 2 * x", "    while type(x) is not int:\n        pass\n    return 2 * x")
EMPTY = TOY.replace("    return 2 * x", "    raise NotImplementedError()")
RIGHT = {"double": "def double(x):\n    return x + x"}


@pytest.fixture
def course(tmp_path) -> Callable[..., Path]:
    """Makes an instructor's folder with these toys, by their names."""

    def make(**toys: str) -> Path:
        notebooks = {}
        for name, source in toys.items():
            (tmp_path / f"{name}.py").write_text(source.replace("NAME", name), encoding="utf-8")
            notebooks[name] = build_exercises.read_source(tmp_path / f"{name}.py")
        return runner.course_folder(tmp_path / "course", notebooks)

    return make


def hand_in(course: Path, folder: Path, toy: str, **students: dict[str, str]) -> Path:
    for student, cells in students.items():
        notebook = nbformat.read(course / "release" / toy / f"{toy}.ipynb", as_version=4)
        for cell in notebook.cells:
            cell.source = cells.get(runner.name_of(cell), cell.source)
        folder.mkdir(exist_ok=True)
        nbformat.write(notebook, folder / f"{student}.ipynb")
    return folder


@pytest.fixture
def tlkit(monkeypatch, capsys) -> Callable[..., tuple[int, list[str]]]:
    """Runs the command in this process: its code, and the lines that it writes to standard error."""

    def run(*arguments: object) -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["tlkit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0, capsys.readouterr().err.splitlines()

    return run


def points_of(out: Path, toy: str) -> dict[str, float]:
    with (out / f"grades_{toy}.csv").open(encoding="utf-8", newline="") as file:
        return {row["student_id"]: float(row["score"]) for row in csv.DictReader(file) if row["assignment"] == toy}


def students_in(out: Path) -> set[str]:
    return {path.name for path in (out / "autograded").glob("*")}


@pytest.mark.slow
def test_a_broken_reference_stops_the_run_before_a_student_is_graded(course, tlkit, tmp_path) -> None:
    made = course(toy=BROKEN)
    folder = hand_in(made, tmp_path / "class", "toy", ann=RIGHT)
    command = ["grade", folder, "--assignment", "toy", "--course", made, "--out", tmp_path / "out", "--no-sandbox"]
    code, lines = tlkit(*command)
    assert code == 2
    assert lines[-1].startswith(
        "tlkit: the reference of toy must pass all checks before students are graded, got double_examples, double_any "
    )
    assert lines[-1].endswith(" No student was graded; --go-on grades all the same.")
    assert "limit" not in lines[-1]
    assert students_in(tmp_path / "out") == set()
    assert not list((tmp_path / "out").glob("*.csv"))
    # An instructor who knows better goes on, and is told again.
    code, lines = tlkit(*command, "--go-on")
    assert code == 0
    assert [line for line in lines if line.startswith("The reference of toy must pass all checks")] != []
    assert points_of(tmp_path / "out", "toy") == {"ann": 100}


@pytest.mark.slow
def test_a_reference_at_a_limit_says_so(course, tlkit, tmp_path) -> None:
    made = course(toy=SLOW)
    folder = hand_in(made, tmp_path / "class", "toy", ann=RIGHT)
    command = ["grade", folder, "--assignment", "toy", "--course", made, "--out", tmp_path / "out", "--no-sandbox"]
    code, lines = tlkit(*command)
    assert code == 2
    assert "got double_any lost: double must end within 1 s" in lines[-1]
    assert "It ran into a limit of time or memory." in lines[-1]


@pytest.mark.slow
def test_without_a_reference_that_is_said_and_the_class_is_graded(course, tlkit, tmp_path) -> None:
    made = course(toy=EMPTY)
    folder = hand_in(made, tmp_path / "class", "toy", ann=RIGHT)
    command = ["grade", folder, "--assignment", "toy", "--course", made, "--out", tmp_path / "out", "--no-sandbox"]
    code, lines = tlkit(*command)
    assert code == 0
    (said,) = (line for line in lines if line.startswith("No reference was graded first: "))
    assert "source/toy/toy.ipynb" in said
    assert "double is not written yet" in said
    assert points_of(tmp_path / "out", "toy") == {"ann": 100}


@pytest.mark.slow
def test_two_assignments_have_a_reference_each_and_it_is_in_no_table(course, tlkit, tmp_path) -> None:
    made = course(one=TOY, two=BROKEN)
    known = ["--course", made, "--out", tmp_path / "out", "--no-sandbox"]
    for toy, expected in (("one", 0), ("two", 2)):
        folder = hand_in(made, tmp_path / f"class_{toy}", toy, ann=RIGHT)
        code, lines = tlkit("grade", folder, "--assignment", toy, *known)
        assert code == expected, lines
        assert any(line.startswith("The reference passes all checks (") for line in lines) == (expected == 0)
    assert points_of(tmp_path / "out", "one") == {"ann": 100}
    assert students_in(tmp_path / "out") == {"ann"}
    # With nothing new there is nothing to grade first.
    code, lines = tlkit("grade", tmp_path / "class_one", "--assignment", "one", *known)
    assert (code, [line for line in lines if "reference" in line]) == (0, [])


class Crowded(Worker):
    """A worker that has too little time for its first submission of a student, as on a busy machine."""

    asked: ClassVar[list[str]] = []

    def ask(self, student: str):
        enough = self._seconds
        if student == "bob" and "bob" not in self.asked:
            self._seconds = 0.01
        self.asked.append(student)
        try:
            return super().ask(student)
        finally:
            self._seconds = enough


@pytest.mark.slow
def test_who_ran_into_a_limit_in_the_crowd_loses_nothing_by_it(course, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(submissions, "Worker", Crowded)
    monkeypatch.setattr(Crowded, "asked", [])
    made = course(toy=TOY)
    endless = {"double": "def double(x):\n    while type(x) is not int: pass\n    return 2 * x"}
    folder = hand_in(made, tmp_path / "class", "toy", ann=RIGHT, bob=RIGHT, cyd=endless)
    prepared = prepare_course(made, "toy", tmp_path / "out")
    found = find_submissions(folder, "toy", prepared.notebook)
    said: list[str] = []
    rows = grade_submissions(found, prepared, workers=2, seconds=60, megabytes=2000, say=said.append)
    assert points_of(tmp_path / "out", "toy") == {"ann": 100, "bob": 100, "cyd": 60}
    assert said[1:] == ["Grading once more, alone, after a limit of time or memory: bob, cyd."]
    assert sorted(Crowded.asked[:3]) == ["ann", "bob", "cyd"]
    assert Crowded.asked[3:] == ["bob", "cyd"]
    assert {row.student: row.at_limit for row in rows} == {"ann": False, "bob": False, "cyd": True}
    assert {row.student: row.remark for row in rows} == {"ann": "", "bob": "", "cyd": ""}
    # Only what counts is in the log: who stops in between loses nobody's second try.
    lines = (tmp_path / "out" / "graded_toy.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["student"] for line in lines] == ["ann", "bob", "cyd"]
