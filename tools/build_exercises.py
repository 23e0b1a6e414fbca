"""Build the exercises: notebooks in nbgrader's format from exercises/source/*/*.py, and the release for students.

The .py file (jupytext's py:percent) is the only one that people edit. A cell says what it is in its first line, and the
build writes nbgrader's metadata from that:

    # %% solution="softmax"                    the student's cell
    # %% test="softmax_any_logits" points=8    an autograded cell, named for the behaviour that it checks
    # %% readonly="setup"                      a cell that students cannot change
    # %% [markdown] written="seen" points=8    an answer in words, which a person grades

    python tools/build_exercises.py              # exercises/source/*/*.ipynb
    python tools/build_exercises.py ps1          # one assignment
    python tools/build_exercises.py --release    # and exercises/release/, with nbgrader
"""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Annotated, Any

import jupytext
import nbformat
import typer
from launch_links import in_order

from tlkit.grading.notebook import HIDDEN_TESTS, TOTAL, without_block

EXERCISES = Path(__file__).resolve().parents[1] / "exercises"

BEGIN_HIDDEN, END_HIDDEN = HIDDEN_TESTS
BEGIN_SOLUTION, END_SOLUTION = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
WRITTEN_STUB = ("YOUR ANSWER HERE",)


def sources(assignments: list[str]) -> list[Path]:
    """The source files of the assignments (all when there is none), in order: ps10 follows ps9."""
    found = (file for file in EXERCISES.glob("source/*/*.py") if not assignments or file.parent.name in assignments)
    return in_order(found)


def read_source(source: Path) -> Any:
    """The instructor's notebook, solutions and hidden tests included.

    Raises:
        ValueError: Names repeat, points do not add up, or a cell lacks its solution or its points.
    """
    notebook = jupytext.read(source)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number:02d}"
        metadata = _nbgrader_metadata(cell)
        if metadata:
            cell.metadata = {"nbgrader": metadata}
    _check(notebook, source.name)
    return notebook


def _nbgrader_metadata(cell: Any) -> dict[str, Any]:
    kinds = {"solution", "test", "readonly", "written"} & set(cell.metadata)
    if not kinds:
        return {}
    (kind,) = kinds
    metadata = {
        "cell_type": cell.cell_type,
        "grade": kind in ("test", "written"),
        "grade_id": cell.metadata[kind],
        "locked": kind in ("test", "readonly"),
        "schema_version": 3,
        "solution": kind in ("solution", "written"),
        "task": False,
    }
    return metadata | ({"points": cell.metadata["points"]} if metadata["grade"] else {})


def _is_test(metadata: dict[str, Any]) -> bool:
    """Whether the cell is graded by running it: what a student writes and a person grades is a solution too."""
    return bool(metadata.get("grade") and not metadata["solution"])


def _check(notebook: Any, name: str) -> None:
    marked = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    names = [cell.metadata["nbgrader"]["grade_id"] for cell in marked]
    if repeated := {one for one in names if names.count(one) > 1}:
        raise ValueError(f"{name}: each cell needs a name of its own, got {', '.join(sorted(repeated))} twice.")
    if bad := [one for one in names if not re.fullmatch(r"[a-z][a-z0-9_]*", one)]:
        raise ValueError(f"{name}: names must be lower case words joined by _, got {bad[0]!r}.")
    if (total := sum(points(notebook).values())) != TOTAL:
        raise ValueError(f"{name}: points must add up to {TOTAL}, got {total}.")
    for cell in notebook.cells:
        kind = cell.metadata.get("nbgrader", {})
        holds_solution, is_test = kind.get("solution"), _is_test(kind)
        for begin, end, allowed in (
            (BEGIN_SOLUTION, END_SOLUTION, holds_solution),
            (BEGIN_HIDDEN, END_HIDDEN, is_test),
        ):
            if cell.source.count(begin) != cell.source.count(end):
                raise ValueError(f"{name}: {begin!r} and {end!r} must come in pairs, in {cell.source[:60]!r}.")
            if begin in cell.source and not allowed:
                raise ValueError(f"{name}: {begin!r} stands in a cell of another kind, in {cell.source[:60]!r}.")
        if is_test != (cell.cell_type == "code") and kind.get("grade"):
            raise ValueError(f"{name}: a test must be code and a written answer text, got {kind['grade_id']!r}.")
        if holds_solution and BEGIN_SOLUTION not in cell.source:
            raise ValueError(f"{name}: the solution cell {kind['grade_id']!r} marks no solution.")


def points(notebook: Any) -> dict[str, float]:
    """The points of each graded cell, by its name, in order."""
    marked = (cell.metadata["nbgrader"] for cell in notebook.cells if "nbgrader" in cell.metadata)
    return {cell["grade_id"]: cell["points"] for cell in marked if cell["grade"]}


def autograded_points(notebook: Any) -> dict[str, float]:
    """The points of each test; the rest of ``points`` is for a person to give."""
    tests = {
        cell.metadata["nbgrader"]["grade_id"] for cell in notebook.cells if _is_test(cell.metadata.get("nbgrader", {}))
    }
    return {name: worth for name, worth in points(notebook).items() if name in tests}


def released(notebook: Any) -> Any:
    """The notebook as students get it: a stub for each solution, and no hidden tests. As nbgrader does it."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        cell.source = released_source(cell.source, STUB if cell.cell_type == "code" else WRITTEN_STUB)
    return notebook


def released_source(source: str, stub: tuple[str, ...] = STUB) -> str:
    return without_block(without_block(source, BEGIN_HIDDEN, END_HIDDEN, ()), BEGIN_SOLUTION, END_SOLUTION, stub)


def build(source: Path) -> Path:
    """Write the instructor's notebook beside its source."""
    notebook = read_source(source)
    nbformat.validate(notebook)
    path = source.with_suffix(".ipynb")
    nbformat.write(notebook, path)
    return path


def release(assignment: str, course: Path = EXERCISES) -> Path:
    """Let nbgrader make the students' version; needs ``pip install 'tlkit[exercises]'``.

    Raises:
        RuntimeError: nbgrader failed.
    """
    api = course_api(course)
    result = api.generate_assignment(assignment, force=True)
    if not result["success"]:
        raise RuntimeError(f"nbgrader could not release {assignment}:\n{result.get('error')}{result.get('log')}")
    return course / "release" / assignment


def course_api(course: Path) -> Any:
    """nbgrader's API for a course folder, configured by exercises/nbgrader_config.py."""
    import tlkit.grading.course

    return tlkit.grading.course.course_api(EXERCISES / "nbgrader_config.py", course)


def main(
    assignments: Annotated[list[str] | None, typer.Argument(help="Such as ps1.")] = None,
    release_too: Annotated[bool, typer.Option("--release", help="Make the students' version, with nbgrader.")] = False,
) -> None:
    """Build the instructor's notebooks and, if asked, the release."""
    files = sources(assignments or [])
    for file in files:
        typer.echo(build(file).relative_to(EXERCISES))
    if release_too:
        for assignment in sorted({file.parent.name for file in files}):
            typer.echo(release(assignment).relative_to(EXERCISES))


if __name__ == "__main__":
    typer.run(main)
