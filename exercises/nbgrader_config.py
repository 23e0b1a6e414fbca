"""nbgrader's settings for this course, and what nbgrader lacks for grading code that nobody has read.

- Tests run here, and a student's cells in a process of their own, in a sandbox where there is one: no line of a
  student's runs where tests, right answers or points are (tlkit.grading.examiner). nbgrader alone would run both in one
  process, and whoever runs there can change the tests.
- A test cell is right when it ends without an error, and only then.
- When a student's process dies or falls silent, what was tested before counts, and the rest gets no points and a
  reason. nbgrader alone would drop the whole submission.
- A function that has failed a test is replaced by the reference's when later parts are tested.
- Deleted cells are put back, whichever they are. nbgrader alone would give up on a notebook that lost a solution cell
  together with its test.
- What a cell is, what it is worth and where it stands is read from the gradebook. Nothing that a notebook says of its
  cells counts: nbgrader alone would skip a test with the tag "skip-execution" and give its points, and give up on a
  notebook in which a cell was copied or split.
- Feedback holds no hidden tests. nbgrader alone would show them all. It names each check, and shows formulas without a
  network.
- What students write as HTML runs no scripts, neither in feedback nor in formgrader. With nbgrader alone it does.
"""

import json
from pathlib import Path

from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbformat.v4 import new_code_cell, new_markdown_cell
from nbgrader.api import Gradebook
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    IgnorePattern,
    LimitOutput,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)
from traitlets import List, Unicode

from tlkit.grading.examiner import (
    cell_of,
    examine,
    last_to_run,
    outputs_of,
    solutions_of,
    started_student,
    student_sandbox,
)
from tlkit.grading.feedback import configure_feedback

CELL_SECONDS = 120


class PutBackCells(OverwriteCells):
    """Overwrite tests with their own text, put back every cell that is missing, and put all into the release's order.

    The order counts: when a test fails, later parts are tested with the reference's function in place of the student's.
    """

    def preprocess(self, nb, resources):
        """Give each cell of ``nb`` the gradebook's marks; then do what nbgrader does."""
        ours = resources["nbgrader"]
        with Gradebook(ours["db_url"]) as gradebook:
            marks = self.marks_by_name(gradebook.find_notebook(ours["notebook"], ours["assignment"]))
        places = {name: place for place, name in enumerate(marks)}
        for cell in reversed(nb.cells):  # of copies the last counts, as with nbgrader
            cell.metadata.pop("tags", None)
            said = cell.metadata.pop("nbgrader", None)
            name = said.get("grade_id") if isinstance(said, dict) else None
            if isinstance(name, str) and name in marks:
                cell.metadata["nbgrader"] = marks.pop(name)
        nb, resources = super().preprocess(nb, resources)
        nb.cells = self.in_order(nb.cells, places)
        return nb, resources

    def in_order(self, cells, places):
        """Each marked cell at its place, and each of a student's own after the marked one that it followed."""
        at, keyed = -1, []
        for cell in cells:
            at = places.get(cell.metadata.get("nbgrader", {}).get("grade_id"), at)
            keyed.append((at, cell))
        return [cell for _, cell in sorted(keyed, key=lambda pair: pair[0])]

    def marks_by_name(self, source):
        """What nbgrader notes in each cell of the notebook ``source`` of the gradebook."""
        points = {cell.name: cell.max_score for cell in source.grade_cells}
        solutions = {cell.name for cell in source.solution_cells}
        return {
            cell.name: {
                "cell_type": cell.cell_type,
                "checksum": cell.checksum,
                "grade": cell.name in points,
                "grade_id": cell.name,
                "locked": cell.locked,
                "schema_version": 3,
                "solution": cell.name in solutions,
                "task": False,
            }
            | ({"points": points[cell.name]} if cell.name in points else {})
            for cell in source.source_cells
        }

    def add_missing_grade_cells(self, nb, resources):
        """Change ``nb`` in place."""
        source = self.gradebook.find_notebook(self.notebook_id, self.assignment_id)
        marks = self.marks_by_name(source)
        at = 0
        for cell in source.source_cells:
            places = {c.metadata.get("nbgrader", {}).get("grade_id"): place for place, c in enumerate(nb.cells)}
            if cell.name not in places:
                self.log.warning("The cell %s was missing and is put back", cell.name)
                new_cell = new_code_cell if cell.cell_type == "code" else new_markdown_cell
                nb.cells.insert(at, new_cell(cell.source, metadata={"nbgrader": marks[cell.name]}))
                places[cell.name] = at
            at = places[cell.name] + 1
        return nb, resources


class ExamineApart(NbGraderPreprocessor):
    """Run the student's cells in a process of their own, and the tests here, where no student's line runs."""

    sandbox = List(
        Unicode(), allow_none=True, default_value=None, help="Begins the command of that process; found if not given."
    ).tag(config=True)

    def preprocess(self, nb, resources):
        """Run ``nb`` in place. A cell that could not be run, since the process had ended, says so."""
        folder = Path(resources["metadata"]["path"])
        ours = resources["nbgrader"]
        source = folder.parents[2] / "source" / ours["assignment"] / f"{ours['notebook']}.ipynb"
        reference = solutions_of(json.loads(source.read_text(encoding="utf-8")))
        code = [cell for cell in nb.cells if cell.cell_type == "code"]
        sandbox = student_sandbox() if self.sandbox is None else self.sandbox
        with started_student(folder, sandbox) as student:
            cells, last = [cell_of(cell) for cell in code], last_to_run(nb.cells)
            outcomes = examine(cells, reference, student, cell_seconds=CELL_SECONDS, last=last)
        for cell, outcome in zip(code, outcomes, strict=True):
            cell.outputs = outputs_of(outcome)
        return nb, resources


c = get_config()  # noqa: F821 (traitlets defines it)

c.CourseDirectory.course_id = "tlkit"
# nbgrader copies what else lies beside a notebook into the release: here that is the source, with all its answers.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback", "ps*_*.py"]
c.OverwriteCells.add_missing_cells = True
c.Autograde.sanitize_preprocessors = [
    ClearOutput,
    OverwriteKernelspec,
    PutBackCells,
    CheckCellMetadata,
]
c.Autograde.autograde_preprocessors = [
    ExamineApart,
    IgnorePattern,
    ClearMetadataPreprocessor,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
configure_feedback(c)
