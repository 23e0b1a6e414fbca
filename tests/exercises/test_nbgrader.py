"""nbgrader says of answers what the graders' own test says of them (tests/exercises/test_banks.py).

These are in a file of their own, which one worker gets whole: nbgrader takes seconds to make a course folder.
"""

import sys
import warnings
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import build_exercises
import runner
from marks import in_bank
from test_banks import ANSWERS, ASSIGNMENTS, Notebooks, of_kind, solutions_of

pytest.importorskip("nbgrader", reason="needs tlkit[exercises]")


def first_of_each_kind(assignments):
    kinds = [of_kind(assignment, kind) for assignment in assignments for kind in ("right", "wrong", "hostile")]
    return [f"{answers[0].assignment}/{answers[0].kind}/{answers[0].name}" for answers in kinds if answers]


@pytest.fixture(scope="module")
def notebooks():
    return Notebooks()


@pytest.fixture(scope="module")
def course_with(tmp_path_factory, notebooks):
    """A course folder in which an assignment is released by nbgrader once a test asks for it: a second for each."""
    folder = runner.course_folder(tmp_path_factory.mktemp("course"), {})

    def course(assignment):
        if not (folder / "release" / assignment).is_dir():
            runner.add_assignment(folder, assignment, notebooks[assignment])
        return folder

    return course


def hand_in(course_with, assignment, student, cells, *, without=(), metadata=()):
    """Write a submission: the release with some cells replaced, and others deleted."""
    course = course_with(assignment)
    notebook = nbformat.read(course / "release" / assignment / f"{runner.stem_of(assignment)}.ipynb", as_version=4)
    notebook.cells = [cell for cell in notebook.cells if runner.name_of(cell) not in without]
    for cell in notebook.cells:
        cell.source = cells.get(runner.name_of(cell), cell.source)
        cell.metadata.update(metadata)
    folder = course / "submitted" / student / assignment
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / f"{runner.stem_of(assignment)}.ipynb")


def autograde(course_with, assignment, student):
    """The scores in the gradebook, by check, and the reasons in the autograded notebook."""
    from nbgrader.api import Gradebook

    course = course_with(assignment)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = build_exercises.course_api(course).autograde(assignment, student)
        assert result["success"], result.get("log")
        with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
            submission = gradebook.find_submission(assignment, student)
            scores = {grade.name: grade.auto_score for part in submission.notebooks for grade in part.grades}
    path = course / "autograded" / student / assignment / f"{runner.stem_of(assignment)}.ipynb"
    assert list(path.parent.glob("*.py")) == []
    notebook = nbformat.read(path, as_version=4)
    reasons = {
        runner.name_of(cell): output.evalue
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    }
    return scores, reasons


@pytest.mark.slow
@pytest.mark.parametrize("assignment", in_bank(ASSIGNMENTS, but=["ps1", "ps4"]))
def test_nbgraders_release_is_ours(assignment, course_with, notebooks):
    course = course_with(assignment)
    assert [path.name for path in (course / "release" / assignment).iterdir()] == [
        f"{runner.stem_of(assignment)}.ipynb"
    ]
    theirs = nbformat.read(course / "release" / assignment / f"{runner.stem_of(assignment)}.ipynb", as_version=4)
    ours = build_exercises.released(notebooks[assignment])
    assert [cell.source for cell in theirs.cells] == [cell.source for cell in ours.cells]
    for one, other in zip(theirs.cells, ours.cells, strict=True):
        written = dict(one.metadata.get("nbgrader", {}))
        written.pop("checksum", None)
        assert written == other.metadata.get("nbgrader", {})


# A few of each kind: nbgrader takes seconds for each. What the fast path says of them must be what nbgrader says.
# Two that the class of tests/test_grade.py hands in, too, stand in the bank.
BY_NBGRADER = [
    "right/talkative_and_rough",
    "hostile/exit_in_a_cell",
    "hostile/changes_the_grader",
]
FURTHER_BY_NBGRADER = [
    "right/other_formulas",
    "wrong/axis_swapped",
    "wrong/sgd_in_place",
    "hostile/ends_the_process",
    "hostile/prints_400_mb",
    "hostile/returns_rubbish",
    "hostile/reads_the_tests_from_disk",
    "hostile/asks_the_network",
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [f"ps1/{name}" for name in BY_NBGRADER]
    + [pytest.param(f"ps1/{name}", marks=pytest.mark.bank) for name in FURTHER_BY_NBGRADER]
    + [pytest.param(name, marks=pytest.mark.bank) for name in first_of_each_kind(ASSIGNMENTS[1:])],
)
def test_nbgrader_says_the_same(name, course_with, notebooks):
    answer = ANSWERS[name]
    hand_in(course_with, answer.assignment, answer.name, solutions_of(notebooks[answer.assignment]) | answer.cells)
    scores, reasons = autograde(course_with, answer.assignment, answer.name)
    points = build_exercises.autograded_points(notebooks[answer.assignment])  # the others wait for a person
    assert {check for check, most in points.items() if scores[check] != most} == set(answer.loses)
    assert all(reasons[check] for check in answer.loses)


@pytest.mark.slow
def test_nbgrader_puts_deleted_cells_back(course_with, notebooks):
    solutions = solutions_of(notebooks["ps1"])
    tests = list(build_exercises.points(notebooks["ps1"]))
    hand_in(course_with, "ps1", "no tests", solutions, without=[*tests, "setup"])
    assert sum(autograde(course_with, "ps1", "no tests")[0].values()) == build_exercises.TOTAL
    hand_in(course_with, "ps1", "no sgd", solutions, without=["sgd_step", "sgd_step_any_gradient"])
    scores, reasons = autograde(course_with, "ps1", "no sgd")
    assert {name for name, score in scores.items() if not score} == {"sgd_step_any_gradient", "sgd_step_keeps_inputs"}
    assert "not written yet" in reasons["sgd_step_any_gradient"]


# No exercise without TensorFlow asks for words. The bank takes ps6.
ANSWERED_IN_WORDS = """\
# %% [markdown]
# # toy

# %% solution="double"
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


# %% test="double_examples" points=40
assert double(2) == 4

# %% [markdown] written="target_described" points=20
# ### BEGIN SOLUTION
# Digits.
# ### END SOLUTION

# %% [markdown] written="choice_explained" points=20
# ### BEGIN SOLUTION
# By three folds.
# ### END SOLUTION

# %% [markdown] written="errors_examined" points=20
# ### BEGIN SOLUTION
# Sevens.
# ### END SOLUTION
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", in_bank(["toy", "ps6"], but=["toy"]))
def test_what_was_written_waits_for_a_person_and_what_was_not_gets_nothing(name, course_with, notebooks, tmp_path):
    from nbgrader.api import Gradebook

    (tmp_path / "toy.py").write_text(ANSWERED_IN_WORDS, encoding="utf-8")
    notebooks["toy"] = build_exercises.read_source(tmp_path / "toy.py")
    hand_in(course_with, name, "writer", {"target_described": "Digits."}, without=["errors_examined"])
    scores, _ = autograde(course_with, name, "writer")
    tests = build_exercises.autograded_points(notebooks[name])
    written = build_exercises.points(notebooks[name]).keys() - tests.keys()
    assert scores == dict.fromkeys([*tests, *written], 0.0) | {"target_described": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Gradebook(f"sqlite:///{course_with(name) / 'gradebook.db'}") as gradebook:
            (part,) = gradebook.find_submission(name, "writer").notebooks
            assert {grade.name for grade in part.grades if grade.needs_manual_grade} == {"target_described"}


@pytest.mark.slow
@pytest.mark.bank
def test_nbgrader_gives_nothing_for_what_did_not_run(course_with, notebooks):
    hand_in(course_with, "ps1", "untouched", {})
    assert sum(autograde(course_with, "ps1", "untouched")[0].values()) == 0
    # An exception that cannot be shown would silence a kernel; in the student's process it costs its own points.
    mute = "class Mute(BaseException):\n    def __str__(self):\n        raise Mute\n\n\nraise Mute"
    hand_in(course_with, "ps1", "mute", solutions_of(notebooks["ps1"]) | {"sgd_step": mute})
    scores, reasons = autograde(course_with, "ps1", "mute")
    lost = {name for name, score in scores.items() if not score}
    assert lost == {name for name in scores if name.startswith("sgd")}
    assert all(reasons[name] for name in lost)


@pytest.mark.slow
def test_nbgrader_gives_nothing_for_a_notebook_that_claims_to_have_run(course_with):
    """It ends the kernel before the first test."""
    stamp = {"execution": {"shell.execute_reply": "2026-01-01T00:00:00Z"}}
    hand_in(course_with, "ps1", "stamped", {"softmax": "import os; os._exit(0)"}, metadata=stamp)
    scores, reasons = autograde(course_with, "ps1", "stamped")
    assert sum(scores.values()) == 0
    assert all("the kernel ended" in reasons[name] for name in scores)
