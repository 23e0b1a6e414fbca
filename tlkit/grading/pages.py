"""The feedback page of a student: the checks by name, the reason where points were lost, and the notebook below.

It needs no network: formulas are MathML, and there is no script. nbgrader makes it in place of its own page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from nbconvert.exporters import Exporter
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from traitlets import default

from tlkit.grading.feedback import safe_markdown
from tlkit.grading.formulas import trust_formulas
from tlkit.grading.notebook import errors_of, lent_of, lent_words, marks_of, parts_of, touched_tests

__all__ = ["FeedbackPage"]

_TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
_CODE = HtmlFormatter(cssclass="code", wrapcode=True)


class FeedbackPage(Exporter):  # type: ignore[misc]  # nbconvert ships no types
    """Writes the page from a graded notebook that says nothing any more that a student may not see."""

    output_mimetype = "text/html"

    @default("file_extension")
    def _file_extension_default(self) -> str:
        return ".html"

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **options: Any
    ) -> tuple[str, ResourcesDict]:
        """The page, and what nbconvert keeps beside it."""
        nb, resources = super().from_notebook_node(nb, resources, **options)
        ours = resources["nbgrader"]
        # autograded/STUDENT/psN, in the course's folder
        root = Path(resources["metadata"]["path"]).resolve().parents[2]
        name = f"{ours['notebook']}.ipynb"
        source = root / "source" / ours["assignment"] / name
        course = nbformat.read(source, as_version=4).cells if source.is_file() else nb.cells
        if source.is_file():
            trust_formulas("\n\n".join(cell.source for cell in course if cell.cell_type == "markdown"))
        handed_in = root / "submitted" / ours["student"] / ours["assignment"] / name
        release = root / "release" / ours["assignment"] / name
        touched = touched_tests(handed_in, release) if handed_in.is_file() and release.is_file() else ""
        page = _TEMPLATES.get_template("feedback.html.j2").render(
            title=ours["notebook"],
            score=ours["score"],
            max_score=ours["max_score"],
            penalty=ours["late_penalty"],
            touched=touched,
            parts=_parts(nb.cells, parts_of(course)),
            cells=[_shown(cell) for cell in nb.cells],
            code_style=Markup(_CODE.get_style_defs()),
        )
        return page, resources


def _parts(cells: list[Any], part_of: dict[str, str]) -> list[dict[str, Any]]:
    """What was graded, by the parts of the assignment: the checks of each, and what was lent for them."""
    parts: dict[str, dict[str, Any]] = {}
    for cell in cells:
        marks = marks_of(cell)
        if marks.get("grade"):
            name = part_of.get(str(marks["grade_id"]), "")
            part = parts.setdefault(name, {"name": name, "checks": [], "lent": []})
            part["checks"].append(_shown(cell))
            part["lent"] += [lent for lent in lent_of(cell) if lent not in part["lent"]]
    for part in parts.values():
        part["lent"] = lent_words(part["lent"]) if part["lent"] else ""
    return list(parts.values())


def _shown(cell: Any) -> dict[str, Any]:
    """A cell as the template takes it."""
    marks, code = marks_of(cell), cell.cell_type == "code"
    errors, lent = (errors_of(cell), lent_of(cell)) if code else ([], [])
    return {
        "name": marks.get("grade_id", ""),
        "graded": bool(marks.get("grade")),
        "answer": bool(marks.get("solution")),
        "score": marks.get("score", 0),
        "points": marks.get("points", 0),
        "reason": errors[0]["evalue"] if errors else "",
        "lent": lent_words(lent) if lent else "",
        "comment": Markup(safe_markdown(marks["comment"])) if marks.get("comment") else "",
        "html": Markup(highlight(cell.source, PythonLexer(), _CODE) if code else safe_markdown(cell.source)),
    }
