"""The build: metadata as nbgrader wants it, the students' version, and what is refused."""

import re

import build_exercises
import nbformat
import pytest
from build_exercises import read_source, released
from helpers import raises_one_line

GOOD = """\
# %% [markdown]
# Text.

# %% readonly="setup"
import math

# %% solution="double"
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


# %% test="double_examples" points=40
assert double(2) == 4

# %% test="double_any_number" points=60
# Hidden: other numbers.
### BEGIN HIDDEN TESTS
assert double(7) == 14
### END HIDDEN TESTS

# %%
double(3)
"""


@pytest.fixture
def write(tmp_path):
    def write(old="", new=""):
        assert old in GOOD
        path = tmp_path / "toy.py"
        path.write_text(GOOD.replace(old, new, 1) if old else GOOD, encoding="utf-8")
        return path

    return write


def test_metadata(write):
    notebook = read_source(write())
    nbformat.validate(notebook)
    kinds = {cell.metadata["nbgrader"]["grade_id"]: cell.metadata["nbgrader"] for cell in notebook.cells[1:5]}
    assert [(k["grade"], k["solution"], k["locked"], k.get("points")) for k in kinds.values()] == [
        (False, False, True, None),
        (False, True, False, None),
        (True, False, True, 40),
        (True, False, True, 60),
    ]
    assert list(kinds) == ["setup", "double", "double_examples", "double_any_number"]
    assert all(k["schema_version"] == 3 and k["task"] is False and k["cell_type"] == "code" for k in kinds.values())
    assert build_exercises.points(notebook) == {"double_examples": 40, "double_any_number": 60}


def test_students_get_stubs_and_no_hidden_tests(write):
    cells = released(read_source(write())).cells
    assert cells[2].source.rstrip() == "def double(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    assert cells[3].source == "assert double(2) == 4"
    assert cells[4].source == "# Hidden: other numbers."
    assert cells[5].source == "double(3)"


WRITTEN = """\
# %% [markdown] written="seen" points=60
# ### BEGIN SOLUTION
# More than one number.
# ### END SOLUTION
"""


def test_a_written_answer_is_for_a_person_to_grade(write):
    test = GOOD[GOOD.index('# %% test="double_any_number"') : GOOD.index("# %%\ndouble(3)")]
    notebook = read_source(write(test, WRITTEN))
    marks = {
        name: notebook.cells[4].metadata["nbgrader"][name] for name in ("cell_type", "grade", "solution", "locked")
    }
    assert marks == {"cell_type": "markdown", "grade": True, "solution": True, "locked": False}
    assert build_exercises.points(notebook) == {"double_examples": 40, "seen": 60}
    assert build_exercises.autograded_points(notebook) == {"double_examples": 40}
    assert released(notebook).cells[4].source == "YOUR ANSWER HERE"


def test_the_notebook_lies_beside_its_source(write):
    source = write()
    path = build_exercises.build(source)
    assert path == source.with_suffix(".ipynb")
    built = nbformat.read(path, as_version=4)
    assert [cell.source for cell in built.cells] == [cell.source for cell in read_source(source).cells]


REFUSED = {
    "points": ("points=60", "points=50", "points must add up to 100, got 90."),
    "twice": ("double_any_number", "double_examples", "got double_examples twice."),
    "name": ("double_any_number", "Double-any", "lower case words joined by _, got 'Double-any'."),
    "open block": ("### END HIDDEN TESTS\n", "", "must come in pairs"),
    "no solution": (
        "    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION\n",
        "    pass\n",
        "marks no solution",
    ),
    "solution in a test": ("assert double(2) == 4", "### BEGIN SOLUTION\n### END SOLUTION", "of another kind"),
    "written code": (
        'test="double_examples" points=40',
        'written="double_examples" points=40',
        "a written answer text",
    ),
    "test in text": ('%% test="double_examples"', '%% [markdown] test="double_examples"', "a test must be code"),
    "hidden in plain cell": ("double(3)", "### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS", "of another kind"),
}


@pytest.mark.parametrize(("old", "new", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(old, new, message, write):
    with raises_one_line(ValueError, "toy.py: ", message):
        read_source(write(old, new))


@pytest.mark.parametrize("source", build_exercises.sources([]), ids=lambda source: source.stem)
def test_the_sources_build_and_say_what_they_need(source):
    notebook = read_source(source)
    first = notebook.cells[0].source
    for fragment in (f"# {source.parent.name} · ", "**Question: ", "minutes", "without a network"):
        assert fragment in first
    assert source.stem.startswith(f"{source.parent.name}_")
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade"):
            visible = build_exercises.released_source(cell.source)
            shows_an_example = re.search(r"\b(check_\w+|call_student)\(", visible)
            assert shows_an_example or visible.startswith("# Hidden: "), visible


def test_sources_are_found_by_assignment():
    assert build_exercises.sources(["ps1"]) == [build_exercises.EXERCISES / "source" / "ps1" / "ps1_gradients.py"]
    assert build_exercises.sources(["none"]) == []
