"""The graders' own test: each answer of a bank loses exactly the checks that it should, and each check is lost by one.

The fast part runs the cells as the autograder would, in a process an answer; the slow part is nbgrader itself.
"""

import ast
import json
import sys
import warnings
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import build_exercises
import runner
from helpers import in_bank

from tlkit.text import text_status

ASSIGNMENTS = sorted({source.parent.name for source in build_exercises.sources([])})
# Each answer loads TensorFlow, and most train: minutes a bank.
TRAINS = {"ps3", "ps4", "ps6", "ps7", "ps8"}
# Answers that say the same of the grader in other words: `make test` takes the first of each kind.
ALIKE = {"ps2", "ps5", "ps9", "ps10", "ps11"}
# They wait for limits of ten seconds; tests/test_examiner.py stops an endless cell and an endless function.
ENDLESS = {"ps1/hostile/endless_cell", "ps1/hostile/endless_loop"}
# The longest: in `make test` they have no right and hostile answers. In ps8 nearly each wrong answer changes one cell,
# and needs a notebook of its own, a minute each: only so many stay, and the release loses each check there.
LONG = {"ps4", "ps6", "ps8"}
NOTEBOOKS_OF_PS8 = 1
# Of one cell. It ends by itself; the limit only keeps a hanging one from holding up all others on a busy machine.
REFERENCE_SECONDS = 600.0
ANSWERS = {f"{a.assignment}/{a.kind}/{a.name}": a for name in ASSIGNMENTS for a in runner.bank(name)}


def of_kind(assignment, kind):
    return [answer for answer in ANSWERS.values() if (answer.assignment, answer.kind) == (assignment, kind)]


def few_for_all_checks(answers):
    """Answers that between them lose every check that any of them loses, chosen greedily.

    One that loses all of them does not count: of no check does it say that it can tell two mistakes apart.
    """
    every = set().union(*(answer.loses for answer in answers))
    answers = [answer for answer in answers if set(answer.loses) != every]
    chosen, covered = [], set()
    while left := [answer for answer in answers if not set(answer.loses) <= covered]:
        chosen.append(max(left, key=lambda answer: (len(set(answer.loses) - covered), answer.name)))
        covered |= set(chosen[-1].loses)
    return chosen


def side_by_side(answers):
    """Answers in as few notebooks as a greedy choice gives; in each they change other cells and lose other checks."""
    notebooks = []
    for answer in answers:
        apart = [
            others
            for others in notebooks
            if not any(answer.cells.keys() & other.cells or set(answer.loses) & set(other.loses) for other in others)
        ]
        if apart:
            apart[0].append(answer)
        else:
            notebooks.append([answer])
    return notebooks


def marks_of(answer):
    """`make test` runs right and hostile answers, one of a kind where they train or are alike; the bank runs all.

    Wrong ones that lose every check between them run in :func:`test_answers_in_one_notebook_lose_what_each_loses`.
    """
    first = answer == of_kind(answer.assignment, answer.kind)[0]
    few = answer.assignment not in TRAINS | ALIKE or (first and answer.assignment not in LONG)
    left_out = f"{answer.assignment}/{answer.kind}/{answer.name}" in ENDLESS or answer.kind == "wrong"
    return [pytest.mark.slow] if few and not left_out else [pytest.mark.slow, pytest.mark.bank]


TOGETHER = [
    pytest.param(
        answers,
        id="+".join([name, *(answer.name for answer in answers)]),
        marks=pytest.mark.bank if name == "ps8" and number >= NOTEBOOKS_OF_PS8 else (),
    )
    for name in ASSIGNMENTS
    for number, answers in enumerate(side_by_side(few_for_all_checks(of_kind(name, "wrong"))))
]


def first_of_each_kind(assignments):
    kinds = [of_kind(assignment, kind) for assignment in assignments for kind in ("right", "wrong", "hostile")]
    return [f"{answers[0].assignment}/{answers[0].kind}/{answers[0].name}" for answers in kinds if answers]


@pytest.fixture(scope="module")
def notebooks():
    return {name: runner.instructor_notebook(name) for name in ASSIGNMENTS}


def solutions_of(notebook):
    code = (cell for cell in notebook.cells if cell.cell_type == "code")
    cells = (cell for cell in code if cell.metadata.get("nbgrader", {}).get("solution"))
    return {runner.name_of(cell): cell.source for cell in cells}


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_a_bank_is_rich_enough(assignment, notebooks):
    points = build_exercises.autograded_points(notebooks[assignment])
    assert len(of_kind(assignment, "right")) >= 3
    assert len(of_kind(assignment, "wrong")) >= 8
    assert of_kind(assignment, "hostile")
    assert all(answer.text for answer in ANSWERS.values())
    assert not any(answer.loses for answer in of_kind(assignment, "right"))
    lost = [set(answer.loses) for answer in of_kind(assignment, "wrong")]
    assert all(lost), "an answer that loses nothing is not wrong"
    assert set().union(*lost) == set(points), "each check must be lost by a wrong answer"


# Those in the bank take half a minute and more. In `make test` ps6 and ps7 have several notebooks with wrong answers,
# and what one of them loses another passes, by the reference's cells; that of ps8 passes eight of its twelve checks.
@pytest.mark.parametrize(
    "assignment", in_bank(ASSIGNMENTS, but=["ps1", "ps2", "ps3", "ps4", "ps5", "ps9", "ps10", "ps11"])
)
def test_the_reference_gets_everything(assignment, notebooks):
    cells = runner.with_cells(notebooks[assignment], {})
    sources = [cell.source for cell in cells]
    if assignment == "ps7":  # below its last check it reads real text, where that was fetched
        sources.append(f"assert bool(vectors) is {set(text_status().values()) == {'whole'}}")
    assert runner.run(sources, REFERENCE_SECONDS) is None


@pytest.mark.parametrize(
    "assignment", [pytest.param(name, marks=[pytest.mark.slow] * (name in TRAINS)) for name in ASSIGNMENTS]
)
def test_the_release_gets_nothing(assignment, notebooks):
    """What a student gets, with the hidden tests put back: as it comes out of the box, and handed in."""
    notebook = notebooks[assignment]
    untouched = runner.grade(notebook, solutions_of(build_exercises.released(notebook)))
    assert sum(check.points for check in untouched.values()) == 0
    assert all("is not written yet" in check.reason for check in untouched.values())


@pytest.mark.slow
def test_where_no_text_was_fetched_ps7_gives_all_points_and_runs_to_its_end(notebooks):
    cells = runner.with_cells(notebooks["ps7"], ANSWERS["ps7/right/nothing_fetched"].cells)
    sources = [*(cell.source for cell in cells), "assert vectors == {}"]
    assert runner.run(sources, REFERENCE_SECONDS) is None


@pytest.mark.parametrize(
    "answer",
    [pytest.param(answer, id=name, marks=marks_of(answer)) for name, answer in ANSWERS.items()],
)
def test_an_answer_loses_exactly_what_it_should(answer, notebooks):
    loses_exactly(answer.loses, notebooks[answer.assignment], answer.cells, rereads=answer.kind == "wrong")


@pytest.mark.slow
@pytest.mark.parametrize("answers", TOGETHER)
def test_answers_in_one_notebook_lose_what_each_loses(answers, notebooks):
    """A student may be wrong in several cells, and one process that loads TensorFlow serves for several answers."""
    cells = dict(item for answer in answers for item in answer.cells.items())
    loses = [name for answer in answers for name in answer.loses]
    loses_exactly(loses, notebooks[answers[0].assignment], cells, rereads=True)


def loses_exactly(names, notebook, cells, *, rereads):
    graded = runner.grade(notebook, cells)
    assert {name: graded[name].reason for name in runner.lost(graded)}.keys() == set(names)
    for name in names:
        reason = graded[name].reason
        assert reason
        assert len(reason.splitlines()) == 1, reason
        if rereads:
            assert "Reread" in reason, reason


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_the_release_holds_no_solution_and_no_hidden_test(assignment, notebooks):
    text = json.dumps(build_exercises.released(notebooks[assignment]))
    for fragment in ("HIDDEN", "SOLUTION", "check_same", "check_inputs_kept", "_right"):
        assert fragment not in text, fragment
    for line in secret_lines(notebooks[assignment]):
        assert json.dumps(line)[1:-1] not in text, line


def secret_lines(notebook):
    """Lines of solutions and hidden tests that say something, and stand nowhere else in the notebook."""
    inside = {
        line.strip()
        for cell in notebook.cells
        for line in set(cell.source.split("\n")) - set(build_exercises.released_source(cell.source).split("\n"))
    }
    open_lines = {line.strip() for cell in build_exercises.released(notebook).cells for line in cell.source.split("\n")}
    return {line for line in inside - open_lines if len(line) > 20 and not line.startswith(("import ", "from ", "###"))}


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_no_secret_is_in_what_the_wheel_holds(assignment, notebooks):
    """The wheel is tlkit/ and notebooks/*.ipynb: pyproject.toml says so, and test_package builds it."""
    files = [*runner.ROOT.glob("tlkit/**/*.py"), *runner.ROOT.glob("notebooks/*.ipynb")]
    wheel = "\n".join(file.read_text(encoding="utf-8") for file in files)
    calls = {line for line in secret_lines(notebooks[assignment]) if "_seed" in line or "seed=" in line}
    assert calls
    assert [line for line in calls if line in wheel] == []
    # The examiner names the mark; no block of hidden tests begins with it.
    assert [line for line in wheel.split("\n") if line.strip().startswith(build_exercises.BEGIN_HIDDEN)] == []


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_hidden_tests_overwrite_no_name_of_a_student(assignment, notebooks):
    for cell in notebooks[assignment].cells:
        if cell.cell_type != "code" or not cell.metadata.get("nbgrader", {}).get("grade"):
            continue
        visible = names_bound(build_exercises.released_source(cell.source))
        hidden = names_bound(cell.source) - visible
        assert all(name.startswith("_") for name in hidden), hidden


def names_bound(source):
    """The names that a cell binds at its top level, imports left out."""
    tree = ast.parse(source)
    inner = {id(child) for node in ast.walk(tree) if isinstance(node, SCOPES) for child in ast.walk(node)}
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    stores = (n for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    return names | {node.id for node in stores if id(node) not in inner}


SCOPES = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


# nbgrader itself


@pytest.fixture(scope="module")
def course(tmp_path_factory, notebooks):
    """A course folder with every assignment released by nbgrader."""
    pytest.importorskip("nbgrader", reason="needs tlkit[exercises]")
    return runner.course_folder(tmp_path_factory.mktemp("course"), notebooks)


def stem(assignment):
    (source,) = build_exercises.sources([assignment])
    return source.stem


def hand_in(course, assignment, student, cells, *, without=(), metadata=()):
    """Write a submission: the release with some cells replaced, and others deleted."""
    notebook = nbformat.read(course / "release" / assignment / f"{stem(assignment)}.ipynb", as_version=4)
    notebook.cells = [cell for cell in notebook.cells if runner.name_of(cell) not in without]
    for cell in notebook.cells:
        cell.source = cells.get(runner.name_of(cell), cell.source)
        cell.metadata.update(metadata)
    folder = course / "submitted" / student / assignment
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / f"{stem(assignment)}.ipynb")


def autograde(course, assignment, student):
    """The scores in the gradebook, by check, and the reasons in the autograded notebook."""
    from nbgrader.api import Gradebook

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = build_exercises.course_api(course).autograde(assignment, student)
        assert result["success"], result.get("log")
        with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
            submission = gradebook.find_submission(assignment, student)
            scores = {grade.name: grade.auto_score for part in submission.notebooks for grade in part.grades}
    path = course / "autograded" / student / assignment / f"{stem(assignment)}.ipynb"
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
def test_nbgraders_release_is_ours(assignment, course, notebooks):
    assert [path.name for path in (course / "release" / assignment).iterdir()] == [f"{stem(assignment)}.ipynb"]
    theirs = nbformat.read(course / "release" / assignment / f"{stem(assignment)}.ipynb", as_version=4)
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
def test_nbgrader_says_the_same(name, course, notebooks):
    answer = ANSWERS[name]
    hand_in(course, answer.assignment, answer.name, solutions_of(notebooks[answer.assignment]) | answer.cells)
    scores, reasons = autograde(course, answer.assignment, answer.name)
    points = build_exercises.autograded_points(notebooks[answer.assignment])  # the others wait for a person
    assert {check for check, most in points.items() if scores[check] != most} == set(answer.loses)
    assert all(reasons[check] for check in answer.loses)


@pytest.mark.slow
def test_nbgrader_puts_deleted_cells_back(course, notebooks):
    solutions = solutions_of(notebooks["ps1"])
    tests = list(build_exercises.points(notebooks["ps1"]))
    hand_in(course, "ps1", "no tests", solutions, without=[*tests, "setup"])
    assert sum(autograde(course, "ps1", "no tests")[0].values()) == build_exercises.TOTAL
    hand_in(course, "ps1", "no sgd", solutions, without=["sgd_step", "sgd_step_any_gradient"])
    scores, reasons = autograde(course, "ps1", "no sgd")
    assert {name for name, score in scores.items() if not score} == {"sgd_step_any_gradient", "sgd_step_keeps_inputs"}
    assert "not written yet" in reasons["sgd_step_any_gradient"]


@pytest.mark.slow
def test_what_was_written_waits_for_a_person_and_what_was_not_gets_nothing(course, notebooks):
    from nbgrader.api import Gradebook

    hand_in(course, "ps6", "writer", {"target_described": "Digits."}, without=["errors_examined"])
    scores, _ = autograde(course, "ps6", "writer")
    tests = build_exercises.autograded_points(notebooks["ps6"])
    written = build_exercises.points(notebooks["ps6"]).keys() - tests.keys()
    assert scores == dict.fromkeys([*tests, *written], 0.0) | {"target_described": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
            (part,) = gradebook.find_submission("ps6", "writer").notebooks
            assert {grade.name for grade in part.grades if grade.needs_manual_grade} == {"target_described"}


@pytest.mark.slow
@pytest.mark.bank
def test_nbgrader_gives_nothing_for_what_did_not_run(course, notebooks):
    hand_in(course, "ps1", "untouched", {})
    assert sum(autograde(course, "ps1", "untouched")[0].values()) == 0
    # An exception that cannot be shown silences the kernel.
    mute = "class Mute(BaseException):\n    def __str__(self):\n        raise Mute\n\n\nraise Mute"
    hand_in(course, "ps1", "mute", solutions_of(notebooks["ps1"]) | {"sgd_step": mute})
    scores, reasons = autograde(course, "ps1", "mute")
    assert {name for name, score in scores.items() if not score} == {n for n in scores if n.startswith(("sgd", "adam"))}
    assert all(reasons[name] for name, score in scores.items() if not score)


@pytest.mark.slow
def test_nbgrader_gives_nothing_for_a_notebook_that_claims_to_have_run(course):
    """It ends the kernel before the first test."""
    stamp = {"execution": {"shell.execute_reply": "2026-01-01T00:00:00Z"}}
    hand_in(course, "ps1", "stamped", {"softmax": "import os; os._exit(0)"}, metadata=stamp)
    scores, reasons = autograde(course, "ps1", "stamped")
    assert sum(scores.values()) == 0
    assert all("the kernel ended" in reasons[name] for name in scores)
