"""nbgrader's settings for this course, and what nbgrader lacks for grading code that nobody has read.

- A test cell is right when it ends without an error, and only then. nbgrader alone would also take its points for a
  harmless line on stderr, and give as many as a student's code displays.
- When the kernel dies or falls silent, what was tested before counts, and the rest gets no points and a reason.
  nbgrader alone would drop the whole submission.
- Deleted cells are put back, whichever they are. nbgrader alone would give up on a notebook that lost a solution cell
  together with its test.
- What a cell is, and what it is worth, is read from the gradebook. Nothing that a notebook says of its cells counts:
  nbgrader alone would skip a test with the tag "skip-execution" and give its points, and give up on a notebook in which
  a cell was copied or split.
- Feedback holds no hidden tests. nbgrader alone would show them all.
"""

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from nbgrader.api import Gradebook
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    Execute,
    IgnorePattern,
    LimitOutput,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)
from nbgrader.utils import is_grade

from tlkit.grading.feedback import feedback_preprocessors
from tlkit.grading.notebook import FENCED, KERNEL_GONE

CELL_SECONDS = 120
MAX_TEXT = 20_000  # characters of an output that are kept


class PutBackCells(OverwriteCells):
    """Overwrite tests with their own text, and put back every cell that is missing after the one that it followed."""

    def preprocess(self, nb, resources):
        """Give each cell of ``nb`` the gradebook's marks; then do what nbgrader does."""
        ours = resources["nbgrader"]
        with Gradebook(ours["db_url"]) as gradebook:
            marks = self.marks_by_name(gradebook.find_notebook(ours["notebook"], ours["assignment"]))
        for cell in reversed(nb.cells):  # of copies the last counts, as with nbgrader
            cell.metadata.pop("tags", None)
            said = cell.metadata.pop("nbgrader", None)
            name = said.get("grade_id") if isinstance(said, dict) else None
            if isinstance(name, str) and name in marks:
                cell.metadata["nbgrader"] = marks.pop(name)
        return super().preprocess(nb, resources)

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


class ExecuteToTheEnd(Execute):
    """Run the notebook; if the kernel dies or falls silent, say so in each cell that it did not finish."""

    def preprocess(self, nb, resources, km=None):
        """Run ``nb`` in place."""
        self.done = set()
        try:
            return super().preprocess(nb, resources, km=km)
        except (CellTimeoutError, DeadKernelError):
            for place, cell in enumerate(nb.cells):
                if cell.cell_type == "code" and place not in self.done:
                    error = new_output("error", ename="KernelGone", evalue=KERNEL_GONE, traceback=[KERNEL_GONE])
                    cell.outputs = [error]
            return nb, resources

    def on_cell_executed(self, **kwargs):
        """Note that the cell is done; nbclient's time stamps also say so of a cell whose time ran out."""
        super().on_cell_executed(**kwargs)
        self.done.add(kwargs["cell_index"])


class ErrorsOnly(NbGraderPreprocessor):
    """Keep the errors of each test cell and drop its other outputs; cut what is long elsewhere."""

    def preprocess_cell(self, cell, resources, cell_index):
        """Change ``cell`` in place."""
        if cell.cell_type == "code":
            if is_grade(cell):
                cell.outputs = [output for output in cell.outputs if output.output_type == "error"]
            for output in cell.outputs:
                if output.output_type == "stream" and len(output.text) > MAX_TEXT:
                    output.text = output.text[:MAX_TEXT] + "\n... Output truncated ..."
        return cell, resources


c = get_config()  # noqa: F821 (traitlets defines it)

c.CourseDirectory.course_id = "tlkit"
# nbgrader copies what else lies beside a notebook into the release: here that is the source, with all its answers.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback", "ps*_*.py"]
c.OverwriteCells.add_missing_cells = True
c.ExecuteToTheEnd.skip_cells_with_tag = ""  # no cell is skipped, whatever its tags
c.Autograde.sanitize_preprocessors = [
    ClearOutput,
    OverwriteKernelspec,
    PutBackCells,
    CheckCellMetadata,
]
c.Autograde.autograde_preprocessors = [
    ExecuteToTheEnd,
    ErrorsOnly,
    IgnorePattern,
    ClearMetadataPreprocessor,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
c.GenerateFeedback.preprocessors = feedback_preprocessors()
c.Execute.timeout = CELL_SECONDS
c.Execute.startup_timeout = 120
c.Execute.kernel_name = "python3"
c.ExecuteToTheEnd.extra_arguments = ["--HistoryManager.hist_file=:memory:", FENCED]
