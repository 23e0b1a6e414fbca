"""Grade an answer of the bank: its cells in the instructor's notebook, run as the autograder runs them.

The lessons' notebooks, too, run here on a broken package (``test_mutations.py``): TensorFlow is imported once for all.

    python tests/exercises/runner.py ps1            # the report: each answer, what it loses, and why
    python tests/exercises/runner.py ps1 axis       # the answers whose name contains "axis"

A bank is a folder an assignment. ``right/`` holds answers that must get every point, ``wrong/`` and ``hostile/`` those
that must lose exactly the checks named in their line ``# loses: …``. An answer is a .py file: a docstring that says
what it does, then a part ``# %% name`` for each solution cell that it replaces; the others stay the reference solution.
Where a cell is a whole program, a part may begin with ``# The reference, but:`` and name lines of it: ``# - old`` is
replaced by the lines ``# + new`` below it.
"""

import ast
import functools
import json
import multiprocessing
import re
import shutil
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(Path(__file__).parent)]

import run_notebook  # noqa: E402

from tlkit.grading.examiner import cell_of, solutions_of  # noqa: E402

BANKS = Path(__file__).parent
CELL_SECONDS = 10.0  # a check's own limit is 5
KERAS_CELL_SECONDS = 120.0  # where a notebook loads TensorFlow and trains; its checks have limits of 20 to 90
CHANGES = "# The reference, but:"

# Where there is a fork server, it has imported what every notebook needs, and a process starts in no time. TensorFlow
# may be forked as long as it has run nothing: its threads come with the first operation.
PROCESSES: Any = multiprocessing.get_context(
    "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
)
PRELOADED = [
    "IPython.core.interactiveshell",
    "pandas",
    "scipy.special",
    "scipy.stats",
    "sklearn.metrics",
    "tlkit._keras",
    "tlkit.domains",
    "tlkit.grading",
    "tlkit.grading.examiner",
    "tlkit.grading.student",
]
if hasattr(PROCESSES, "set_forkserver_preload"):
    PROCESSES.set_forkserver_preload(PRELOADED)


@dataclass(frozen=True)
class Answer:
    """One file of a bank."""

    assignment: str
    kind: str
    name: str
    text: str
    loses: tuple[str, ...]
    cells: dict[str, str]


@dataclass(frozen=True)
class Check:
    """How one autograded cell came out."""

    points: float
    of: float
    reason: str


def read_answer(path: Path) -> Answer:
    source = path.read_text(encoding="utf-8")
    head, *parts = re.split(r"^# %% (\w+)\n", source, flags=re.MULTILINE)
    found = re.search(r"^# loses: (.+)$", head, flags=re.MULTILINE)
    loses = tuple(name.strip() for name in found[1].split(",")) if found else ()
    cells = {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
    for name, part in cells.items():
        if part.startswith(CHANGES):
            cells[name] = changed(reference(path.parent.parent.name)[name], part)
    text = (ast.get_docstring(ast.parse(head)) or "").strip()
    return Answer(path.parent.parent.name, path.parent.name, path.stem, text, loses, cells)


@functools.cache
def reference(assignment: str) -> dict[str, str]:
    return {name_of(cell): cell.source for cell in instructor_notebook(assignment).cells}


def changed(source: str, changes: str) -> str:
    """The source with single lines of it replaced; new lines are indented as the old one, and as they stand.

    Raises:
        ValueError: An old line is not in the source, or is in it more than once.
    """
    lines = source.split("\n")
    for change in re.split(r"^# - ", changes, flags=re.MULTILINE)[1:]:
        old, *new = change.strip().split("\n")
        places = [place for place, line in enumerate(lines) if line.strip() == old.strip()]
        if len(places) != 1:
            raise ValueError(f"a changed line must be in the reference once, got {old.strip()!r} {len(places)} times.")
        indent = lines[places[0]][: -len(old.strip())]
        lines[places[0] : places[0] + 1] = [indent + line.removeprefix("# + ") for line in new]
    return "\n".join(lines)


def bank(assignment: str) -> list[Answer]:
    return [read_answer(path) for path in sorted((BANKS / assignment).glob("*/*.py"))]


def instructor_notebook(assignment: str) -> Any:
    import build_exercises  # slow, and not for the processes that import this file again when they start

    (source,) = build_exercises.sources([assignment])
    return build_exercises.read_source(source)


def course_folder(folder: Path, notebooks: dict[str, Any]) -> Path:
    """An instructor's folder as ``make exercises`` leaves it, with these assignments released by nbgrader."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "exercises" / "nbgrader_config.py", folder)
    for assignment, notebook in notebooks.items():
        add_assignment(folder, assignment, notebook)
    return folder


def stem_of(assignment: str) -> str:
    """The name of its notebook; a toy, which has no source of its own, is called as it is."""
    import build_exercises

    return next((source.stem for source in build_exercises.sources([assignment])), assignment)


def add_assignment(folder: Path, assignment: str, notebook: Any) -> None:
    """Release another assignment in an instructor's folder."""
    import build_exercises
    import nbformat

    (folder / "source" / assignment).mkdir(parents=True)
    nbformat.write(notebook, folder / "source" / assignment / f"{stem_of(assignment)}.ipynb")
    for source in build_exercises.sources([assignment]):
        shutil.copy(source, folder / "source" / assignment)  # as in exercises/, where it lies beside the notebook
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nbgrader's own, of SQLAlchemy and nbformat
        build_exercises.release(assignment, folder)


def with_cells(notebook: Any, cells: dict[str, str]) -> list[Any]:
    """The code cells of the notebook, those solutions replaced that an answer replaces."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    solutions = {name_of(cell): cell for cell in code if cell.metadata.get("nbgrader", {}).get("solution")}
    if unknown := set(cells) - set(solutions):
        raise ValueError(f"an answer may replace {', '.join(solutions)}, got {', '.join(sorted(unknown))}.")
    return [type(cell)(cell | {"source": cells.get(name_of(cell), cell.source)}) for cell in code]


def name_of(cell: Any) -> str:
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))


def grade(notebook: Any, answers: dict[str, str], cell_seconds: float | None = None) -> dict[str, Check]:
    """Each check's points and, where they are lost, the reason; the notebook with an answer's cells in it.

    As the autograder does it, in two processes: the answer's cells run in one, and the checks in the other.
    """
    code = with_cells(notebook, answers)
    cells = [cell_of(cell) for cell in code]
    if cell_seconds is None:
        uses_keras = any(re.search(r"^\s*import (keras|tensorflow)", cell.source, re.M) for cell in cells)
        cell_seconds = KERAS_CELL_SECONDS if uses_keras else CELL_SECONDS
    with tempfile.TemporaryDirectory(prefix="tlkit-", ignore_cleanup_errors=True) as folder:
        outcomes = _outcomes(cells, solutions_of(notebook), cell_seconds, Path(folder))
    graded = {}
    for cell, (error, words) in zip(code, outcomes, strict=True):
        metadata = cell.metadata.get("nbgrader", {})
        if metadata.get("grade"):
            reason = words if error in ("AssertionError", "KernelGone") else f"{error}: {words}"
            graded[name_of(cell)] = Check(
                0.0 if error else metadata["points"], metadata["points"], reason if error else ""
            )
    return graded


def _outcomes(cells: list[Any], reference: dict[str, str], cell_seconds: float, folder: Path) -> Any:
    """Each cell's error and its words; the two processes leave in the folder what they leave, and are ended."""
    students, examiners = PROCESSES.Pipe()
    ours, theirs = PROCESSES.Pipe(duplex=False)
    places = [folder / name for name in ("student", "examiner")]
    for place in places:
        place.mkdir()
    student = PROCESSES.Process(target=run_notebook.be_student, args=(students, str(places[0])), daemon=True)
    student.start()
    students.close()
    examiner = PROCESSES.Process(
        target=run_notebook.examine_cells,
        args=(cells, reference, examiners, student.pid, cell_seconds, theirs, str(places[1])),
        daemon=True,
    )
    examiner.start()
    examiners.close()
    theirs.close()
    try:
        return json.loads(ours.recv_bytes())
    finally:
        for process in (student, examiner):
            process.kill()
            process.join()
            process.close()
        ours.close()


def run(sources: list[str], cell_seconds: float) -> str | None:
    """Run the cells of a notebook in one fresh process: the error that one of them ended with, or ``None``."""
    with tempfile.TemporaryDirectory(prefix="tlkit-", ignore_cleanup_errors=True) as folder:
        return _first_error(sources, cell_seconds, folder)


def _first_error(sources: list[str], cell_seconds: float, folder: str) -> str | None:
    ours, theirs = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=run_notebook.run_cells, args=(sources, theirs, folder), daemon=True)
    process.start()
    theirs.close()
    try:
        for number in range(len(sources)):
            # The first message waits for the start of Python too.
            if not ours.poll(cell_seconds if number else cell_seconds + 60):
                return f"the process was ended after {cell_seconds:g} s in this cell."
            if error := json.loads(ours.recv_bytes()):
                return str(error)
    except EOFError:
        return "the process ended in this cell."
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()
    return None


def lost(graded: dict[str, Check]) -> tuple[str, ...]:
    return tuple(name for name, check in graded.items() if check.points < check.of)


def report(assignment: str, contains: str = "") -> bool:
    """Print how each answer came out; whether all came out as they should."""
    notebook = instructor_notebook(assignment)
    answers = [answer for answer in bank(assignment) if contains in answer.name]
    fine = True
    for answer in answers:
        graded = grade(notebook, answer.cells)
        right = set(lost(graded)) == set(answer.loses)
        fine &= right
        total = sum(check.points for check in graded.values())
        print(
            f"{'ok ' if right else 'BAD'} {answer.kind}/{answer.name}: {total:g} points. {answer.text.splitlines()[0]}"
        )
        for name, check in graded.items():
            if check.reason or name in answer.loses:
                sign = "-" if name in answer.loses and check.reason else "!"
                print(f"      {sign} {name} (-{check.of:g}): {check.reason or 'not lost, and should be'}")
    return fine


if __name__ == "__main__":
    sys.exit(not report(*sys.argv[1:]))
