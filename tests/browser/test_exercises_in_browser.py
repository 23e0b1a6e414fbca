"""A student validates in a real JupyterLab; an instructor sees the grades in formgrader."""

import re
import shutil
from importlib.util import find_spec
from typing import Any

import build_exercises
import nbformat
import pytest
from lab_in_browser import Server, turn_to
from playwright.sync_api import expect

pytestmark = [
    pytest.mark.skipif(find_spec("nbgrader") is None, reason="pip install 'tlkit[exercises]'"),
    pytest.mark.filterwarnings("ignore"),  # nbgrader's own: SQLAlchemy's sessions, nbconvert's templates
]

ASSIGNMENT, NOTEBOOK = "ps1", "ps1_gradients"

# Puts a text into the cell with this grade_id, as typing would.
TYPE = """([grade_id, text]) => {
    const cells = window.jupyterapp.shell.currentWidget.content.widgets.map(widget => widget.model);
    const cell = cells.find(model => (model.getMetadata('nbgrader') || {}).grade_id === grade_id);
    cell.sharedModel.setSource(text);
}"""


@pytest.fixture(scope="module")
def course(server: Server) -> Server:
    """A course with ps1 released; of two students one has handed in, the reference solution, and it is graded."""
    root = server.folder / "class"
    source = root / "source" / ASSIGNMENT
    source.mkdir(parents=True)
    (original,) = build_exercises.sources([ASSIGNMENT])
    instructors = build_exercises.read_source(original)
    nbformat.write(instructors, source / f"{NOTEBOOK}.ipynb")
    released = build_exercises.release(ASSIGNMENT, root) / f"{NOTEBOOK}.ipynb"
    hand_in = root / "submitted" / "ada" / ASSIGNMENT
    hand_in.mkdir(parents=True)
    shutil.copy(source / f"{NOTEBOOK}.ipynb", hand_in)
    api = build_exercises.course_api(root)
    result = api.autograde(ASSIGNMENT, "ada")
    assert result["success"], result
    with api.gradebook as gradebook:
        gradebook.add_student("bob")
    shutil.copy(released, server.folder)
    return server


def validate(page: Any) -> str:
    """The words of the dialog that Validate opens."""
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.get_by_role("button", name="Validate").click()
    dialog = page.locator(".jp-Dialog")
    expect(dialog).to_contain_text(re.compile("passed|failed|success", re.IGNORECASE), timeout=120_000)
    words = dialog.inner_text()
    dialog.get_by_role("button").first.click()
    return words


@pytest.mark.usefixtures("course")
def test_a_student_solves_a_cell_and_validates(lab_alone: Any) -> None:
    page = lab_alone
    turn_to(page, f"{NOTEBOOK}.ipynb")
    before = validate(page)
    (original,) = build_exercises.sources([ASSIGNMENT])
    cells = {c.metadata.get("nbgrader", {}).get("grade_id"): c for c in build_exercises.read_source(original).cells}
    page.evaluate(TYPE, ["softmax", cells["softmax"].source])
    after = validate(page)
    page.screenshot(path=page.shots / "validated.png")
    assert "softmax is not written yet" in before
    assert "softmax is not written yet" not in after
    assert "cross_entropy is not written yet" in after
    assert "HIDDEN" not in before + after


def test_an_instructor_sees_the_grades(page: Any, course: Server) -> None:
    page.goto(f"{course.url}/formgrader?token={course.token}")
    expect(page.locator("body")).to_contain_text(ASSIGNMENT)
    page.screenshot(path=page.shots / "formgrader.png")
    page.goto(f"{course.url}/formgrader/manage_students?token={course.token}")
    rows = page.locator("table tbody tr")
    expect(rows.filter(has_text="ada")).to_contain_text("100")
    expect(rows.filter(has_text="bob")).to_contain_text("0")
    page.screenshot(path=page.shots / "grades.png")
