"""The graders' own test: each answer of a bank loses exactly the checks that it should, and each check is lost by one.

It runs the cells as the autograder would, in two processes for an answer. What nbgrader itself says of answers is in
tests/exercises/test_nbgrader.py.
"""

import ast
import functools
import json
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import build_exercises
import runner
from marks import in_bank

from tlkit.text import text_status

ASSIGNMENTS = sorted({source.parent.name for source in build_exercises.sources([])})
# Each answer loads TensorFlow, and most train: minutes a bank.
TRAINS = {"ps3", "ps4", "ps6", "ps7", "ps8"}
# Answers that say the same of the grader in other words: `make test` takes the first of each kind.
ALIKE = {"ps2", "ps5", "ps9", "ps10", "ps11"}
# They wait for limits of ten seconds; tests/test_examiner.py stops an endless cell and an endless function.
ENDLESS = {"ps1/hostile/endless_cell", "ps1/hostile/endless_loop"}
# ps1 has the same, and trains nothing before it.
ELSEWHERE = {"ps3/hostile/closes_everything"}
# The longest: in `make test` they have no right and hostile answers. In ps8 nearly each wrong answer changes one cell,
# and needs a notebook of its own, a minute each: only so many stay, and the release loses each check there.
LONG = {"ps4", "ps6", "ps8"}
NOTEBOOKS_OF_PS8 = 1
# Of wrong answers that lose the same checks those that train less.
QUICK = {
    "ps3/train_one_epoch",
    "ps4/repair_learns_everywhere_once",
    "ps4/repair_nothing",
    "ps6/choose_a_favourite",
    "ps6/model_ignores_its_images",
    "ps6/model_rounds_the_weights",
}
# Of one cell. It ends by itself; the limit only keeps a hanging one from holding up all others on a busy machine.
REFERENCE_SECONDS = 600.0
ANSWERS = {f"{a.assignment}/{a.kind}/{a.name}": a for name in ASSIGNMENTS for a in runner.bank(name)}


def of_kind(assignment, kind):
    return [answer for answer in ANSWERS.values() if (answer.assignment, answer.kind) == (assignment, kind)]


def few_for_all_checks(answers):
    """Answers that between them lose every check that any of them loses, chosen greedily; of equal ones the QUICK.

    One that loses all of them does not count: of no check does it say that it can tell two mistakes apart.
    """
    every = set().union(*(answer.loses for answer in answers))
    answers = [answer for answer in answers if set(answer.loses) != every]
    chosen, covered = [], set()
    while left := [answer for answer in answers if not set(answer.loses) <= covered]:
        new = {answer.name: len(set(answer.loses) - covered) for answer in left}
        chosen.append(max(left, key=lambda one: (new[one.name], f"{one.assignment}/{one.name}" in QUICK, one.name)))
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
    left_out = f"{answer.assignment}/{answer.kind}/{answer.name}" in ENDLESS | ELSEWHERE or answer.kind == "wrong"
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


class Notebooks(dict):
    """The instructor's notebook of each assignment, read once it is asked for: most tests need one of them."""

    def __missing__(self, assignment):
        self[assignment] = runner.instructor_notebook(assignment)
        return self[assignment]


# These tests are dealt out one by one, with others between them, and a module's fixture would be made again each time.
READ = Notebooks()


@pytest.fixture(scope="module")
def notebooks():
    return READ


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


# Those in the bank train. In `make test` ps3, ps4, ps6 and ps7 have several notebooks with wrong answers, and what one
# of them loses another passes, by the reference's cells.
@pytest.mark.parametrize("assignment", in_bank(ASSIGNMENTS, but=[name for name in ASSIGNMENTS if name not in TRAINS]))
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


@pytest.mark.slow
def test_who_is_killed_leaves_no_files_behind(notebooks, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    writes = "import tempfile\n\ntempfile.mkdtemp()\nopen('beside.txt', 'w').close()\n"
    graded = runner.grade(notebooks["ps1"], {"softmax": writes + runner.reference("ps1")["softmax"]})
    assert runner.lost(graded) == ()
    assert runner.run(["import os, tempfile\ntempfile.mkdtemp()\nos._exit(0)"], 60) == "the process ended in this cell."
    assert list(tmp_path.iterdir()) == []


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
    calls = {line for line in secret_lines(notebooks[assignment]) if "_seed" in line or "seed=" in line}
    assert calls
    text, hidden = wheel()
    assert [line for line in calls if line in text] == []
    assert hidden == []


@functools.cache
def wheel():
    """What it holds, and the beginnings of blocks of hidden tests in it; the examiner names their mark, in a line."""
    files = [*runner.ROOT.glob("tlkit/**/*.py"), *runner.ROOT.glob("notebooks/*.ipynb")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return text, [line for line in text.split("\n") if line.strip().startswith(build_exercises.BEGIN_HIDDEN)]


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
