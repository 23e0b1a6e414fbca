"""Feedback that leaves a student only what a student may see; nbgrader's own quotes the hidden tests."""

from __future__ import annotations

from typing import Any

from tlkit.grading.notebook import error_line, errors_of

__all__ = ["feedback_preprocessors"]


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
                cell.outputs = errors_of(cell)[:1] if is_grade(cell) else []
                for error in cell.outputs:
                    words = error_line(error)
                    error.evalue, error.traceback = words, [words]
            return cell, resources

    return [GetGrades, Discreet, CSSHTMLHeaderPreprocessor]
