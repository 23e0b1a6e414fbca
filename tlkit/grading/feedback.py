"""Feedback that leaves a student only what a student may see; nbgrader's own quotes the hidden tests."""

from __future__ import annotations

from typing import Any

from tlkit.grading.formulas import draw_formulas, markdown_with_formulas
from tlkit.grading.notebook import error_line, errors_of, lent_of, show_lent

__all__ = ["SAFE_FILTERS", "configure_feedback", "feedback_preprocessors", "safe_html", "safe_markdown"]

# What nbconvert's templates call, in feedback and in formgrader; nbgrader's own write a student's HTML out as it is.
SAFE_FILTERS = {
    "clean_html": "tlkit.grading.feedback.safe_html",
    "markdown2html": "tlkit.grading.feedback.safe_markdown",
}
_TAGS = frozenset(
    {
        "a", "abbr", "b", "blockquote", "br", "caption", "code", "dd", "del", "div", "dl", "dt", "em", "h1", "h2", "h3",
        "h4", "h5", "h6", "hr", "i", "img", "kbd", "li", "mark", "ol", "p", "pre", "s", "small", "span", "strong",
        "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
    }
)  # fmt: skip


def configure_feedback(config: Any) -> None:
    """Let nbgrader, so configured, write our page for a student, and clean what formgrader shows of one."""
    config.GenerateFeedback.preprocessors = feedback_preprocessors()
    config.GenerateFeedback.exporter_class = "tlkit.grading.pages.FeedbackPage"
    config.HTMLExporter.sanitize_html, config.HTMLExporter.filters = True, SAFE_FILTERS


def feedback_preprocessors() -> list[Any]:
    """What nbgrader has itself, and one that leaves a student only what a student may see."""
    from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
    from nbgrader.preprocessors import ClearHiddenTests, GetGrades
    from nbgrader.utils import is_grade, is_solution

    def is_test(cell: Any) -> bool:
        return bool(is_grade(cell) and not is_solution(cell))

    class Discreet(ClearHiddenTests):  # type: ignore[misc]  # nbgrader ships no types
        """No hidden tests, no tracebacks (they quote them), no outputs of other cells (they may print them)."""

        def preprocess_cell(self, cell: Any, resources: Any, cell_index: int) -> Any:
            if is_test(cell):  # in an answer the marks of hidden tests mean nothing
                cell, resources = super().preprocess_cell(cell, resources, cell_index)
            if cell.cell_type == "code":
                lent = lent_of(cell) if is_test(cell) else []
                cell.outputs = errors_of(cell)[:1] if is_grade(cell) else []
                for error in cell.outputs:
                    words = error_line(error)
                    error.evalue, error.traceback = words, [words]
                cell.outputs += show_lent(lent)
            return cell, resources

    return [GetGrades, Discreet, CSSHTMLHeaderPreprocessor]


def safe_markdown(source: str) -> str:
    """Markdown as HTML, without what a browser would run, and with formulas as MathML."""
    return draw_formulas(safe_html(markdown_with_formulas(source)))


def safe_html(text: Any) -> str:
    """HTML without what a browser would run: tables, pictures that are part of it, and text remain."""
    import bleach

    return str(bleach.clean(str(text), tags=_TAGS, attributes=_is_safe, protocols={"http", "https", "mailto", "data"}))


def _is_safe(tag: str, name: str, value: str) -> bool:
    if (tag, name) == ("img", "src"):
        return value.startswith("data:image/") and not value.startswith("data:image/svg")
    if (tag, name) == ("a", "href"):
        return not value.strip().lower().startswith("data:")
    return name in ("alt", "class", "colspan", "id", "rowspan", "title")
