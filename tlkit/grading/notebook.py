"""What a student can know before handing in: the visible checks of an exercise, run in a kernel of their own.

Needs ``pip install 'tlkit[exercises]'``, which brings nbgrader and nbclient.
"""

from __future__ import annotations

import ast
import asyncio
import collections
import contextlib
import dis
import functools
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tlkit.grading.checks import __all__ as CHECKS
from tlkit.words import must_install, one_line, some_of

__all__ = ["CheckResult", "ExerciseReport", "check_exercise", "touched_tests"]

TOTAL = 100  # points of an assignment
# A kernel's argument: run before the first cell. The autograder does so too, and what it forbids must not surprise
# anybody later.
FENCED = "--IPKernelApp.exec_lines=from tlkit.grading import fence; fence()"
# What stands between these lines of a test students never see.
HIDDEN_TESTS = ("### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS")
# What the autograder says in each cell that it could not run to its end (tlkit.grading.examiner).
KERNEL_GONE = "the kernel ended, or answered no more, before this cell was done: it could not be tested."
# Metadata of an output of a test: the reference's functions that it has called.
LENT = "tlkit_lent"
_CELLS = 1024  # whose names are remembered: the examiner asks at each test for those of all cells below it
_NAMED = 5  # of the tests that a student has touched
# What these say is meant for a student, and needs no name of an exception before it.
_SPEAK_FOR_THEMSELVES = ("AssertionError", "KernelGone", "TimeoutError")
# How a cell ends at a limit, and what a check says of one (tlkit.grading.checks).
_ENDED = ("KernelGone", "MemoryError", "TimeoutError")
_LIMIT = r"must end within \S+ s, and did not|needed (more than \S+ MB|too much memory)|Unable to allocate"

State = Literal["passes", "fails", "changed", "hidden"]


@dataclass(frozen=True)
class CheckResult:
    """How one test cell came out; ``hidden`` means that all of it runs only after the notebook was handed in."""

    name: str
    state: State
    reason: str = ""


@dataclass(frozen=True)
class ExerciseReport:
    """What the visible checks of a notebook say, and what is missing from it."""

    checks: tuple[CheckResult, ...]
    missing: tuple[str, ...]

    @property
    def passes(self) -> bool:
        """Whether every visible check passes and nothing is missing."""
        return not self.missing and all(check.state in ("passes", "hidden") for check in self.checks)

    def count(self, state: State) -> int:
        """How many checks are in that state."""
        return sum(check.state == state for check in self.checks)


def check_exercise(
    notebook: Path, *, release: Path | None = None, seconds: float = 300.0, cell_seconds: float = 60.0
) -> ExerciseReport:
    """Run a student's notebook from top to bottom in a fresh kernel, and read its visible checks.

    The notebook itself stays as it is. Code runs with the rights of whoever calls, behind :func:`tlkit.grading.fence`.

    Args:
        notebook: The student's notebook, an exercise in nbgrader's format.
        release: The same exercise as it was released; with it, deleted test cells are named.
        seconds: Limit on the whole notebook, by the clock.
        cell_seconds: Limit on each cell, by the clock; one that is stopped fails, and the next one runs.

    Raises:
        ValueError: The extra is not installed, or a file is not a notebook of an exercise.
    """
    need_extra()
    for name, value in (("seconds", seconds), ("cell_seconds", cell_seconds)):
        if not value > 0:
            raise ValueError(f"{name} must be above 0, got {value:g}.")
    content = _read(notebook)
    expected = None if release is None else _tests(_read(release))
    changed = {_name(cell) for cell in _tests(content) if _is_changed(cell, expected)}
    missing = [*_unwritten(content), *_deleted(content, expected)]
    stopped = _execute(content, notebook.parent, seconds, cell_seconds)
    places = {id(cell): place for place, cell in enumerate(content.cells)}
    checks = [_result(cell, _name(cell) in changed, stopped.get(places[id(cell)])) for cell in _tests(content)]
    return ExerciseReport(tuple(_with_causes(content, checks)), tuple(missing))


def need_extra() -> None:
    """Refuse in one line when nbgrader is not there."""
    if any(importlib.util.find_spec(name) is None for name in ("nbgrader", "nbclient", "psutil", "math_core")):
        raise ValueError(must_install("nbgrader", "exercises"))


def skip_grammars() -> None:
    """Keep nbformat's jsonschema from building 38 grammars, 1.2 s, for a kind of address that notebooks do not have.

    In this process, for good: call it before anything of Jupyter is imported.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # what makes its import fail


@functools.cache  # once a process
def mend_lost_wakeups() -> None:
    """Keep a cell that shows widgets from waiting for its time limit: nbclient misses what came while it was sending.

    In this process, for good. See https://github.com/jupyter/nbclient/issues/312.
    """
    from jupyter_client.channels import AsyncZMQSocketChannel

    send = AsyncZMQSocketChannel.send

    def mended(self: Any, message: Any) -> None:
        send(self, message)
        look_again = getattr(self.socket, "_schedule_remaining_events", None)  # private: it may go
        if look_again is not None:
            look_again()

    AsyncZMQSocketChannel.send = mended


def errors_of(cell: Any) -> list[Any]:
    """The errors among a cell's outputs."""
    return [output for output in cell.get("outputs", []) if output["output_type"] == "error"]


def error_line(error: Any) -> str:
    """What a failed cell says, in one line."""
    words, kind = one_line(error["evalue"]), one_line(error["ename"], 60)
    return words if kind in _SPEAK_FOR_THEMSELVES and words else f"{kind}: {words or 'no message'}"


def is_limit(error: Any) -> bool:
    """Whether a cell's error says that a limit on time or memory, or the end of the process, was in its way."""
    return error["ename"] in _ENDED or re.search(_LIMIT, error["evalue"]) is not None


def lent_words(names: Sequence[str]) -> str:
    """That a test had the reference's functions in place of a student's."""
    return f"Tested with the course's {', '.join(names)} in place of yours, which lost points above."


def show_lent(names: Sequence[str]) -> list[Any]:
    """The output that says so, with the names for :func:`lent_of`; none when nothing was lent."""
    from nbformat.v4 import new_output

    words = {"text/plain": lent_words(names)}
    return [new_output("display_data", data=words, metadata={LENT: list(names)})] if names else []


def lent_of(cell: Any) -> list[str]:
    """The reference's functions that a graded test has called in place of a student's."""
    outputs = (output for output in cell.get("outputs", []) if output["output_type"] == "display_data")
    return [name for output in outputs for name in output["metadata"].get(LENT, [])]


def marks_of(cell: Any) -> dict[str, Any]:
    """What nbgrader has noted in a cell."""
    marks = cell["metadata"].get("nbgrader", {})
    return marks if isinstance(marks, dict) else {}


def parts_of(cells: Iterable[Any]) -> dict[str, str]:
    """For each graded cell, by its name, its part: the headings (``##``) that stand above it, below earlier tests."""
    part, headings, parts = "", list[str](), {}
    for cell in cells:
        if cell["cell_type"] == "markdown":
            found = re.findall(r"^## (.+?)(?: \(([^()]*points?[^()]*)\))?$", "".join(cell["source"]), re.MULTILINE)
            headings += [one_line(heading, 100) for heading, points in found if points != "no points"]
        if marks_of(cell).get("grade"):
            part, headings = " · ".join(headings) or part, []
            parts[str(marks_of(cell).get("grade_id", ""))] = part
    return parts


@functools.lru_cache(_CELLS)
def names_bound(source: str) -> frozenset[str]:
    """The names that a cell binds at its top level; none if it cannot be read."""
    try:
        code = compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError):
        return frozenset()
    stores = {"STORE_NAME", "STORE_GLOBAL"}
    return frozenset(step.argval for step in dis.get_instructions(code) if step.opname in stores)


@functools.lru_cache(_CELLS)
def names_used(source: str) -> frozenset[str]:
    """The names that a cell uses, wherever; none if it cannot be read."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return frozenset()
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return frozenset(node.id for node in names if isinstance(node.ctx, ast.Load))


def without_block(text: str, begin: str, end: str, stub: tuple[str, ...] = ()) -> str:
    """The text with each block from ``begin`` to ``end`` replaced by the stub, indented like the block."""
    lines, inside = [], False
    for line in text.split("\n"):
        if begin in line:
            inside = True
            indent = line[: len(line) - len(line.lstrip())]
            lines += [indent + stub_line for stub_line in stub]
        elif end in line:
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines)


def _read(path: Path) -> Any:
    import nbformat

    if path.suffix != ".ipynb" or not path.is_file():
        raise ValueError(f"a notebook must be an existing .ipynb file, got {str(path)!r}.")
    try:
        content = nbformat.read(path, as_version=4)
        if not all(isinstance(cell.source, str) for cell in content.cells):
            raise ValueError("a cell has no source")
        tests = _tests(content)
        nbformat.writes(content).encode()  # JSON may hold half a character, which no kernel takes
    except UnicodeEncodeError:
        raise ValueError(f"{path.name} must be a notebook of text, got one with half of a surrogate pair.") from None
    except Exception as error:  # nbformat raises many types, over many lines
        raise ValueError(f"{path.name} must be a notebook, but cannot be read: {one_line(error, 150)}.") from None
    if not tests:
        raise ValueError(f"{path.name} must be an exercise in nbgrader's format, and has no test cell.")
    return content


def _name(cell: Any) -> str:
    return one_line(marks_of(cell).get("grade_id", ""), 80)


def _tests(content: Any) -> list[Any]:
    """The cells that are graded by running them, not by a person."""
    marked = ((cell, marks_of(cell)) for cell in content.cells if cell.cell_type == "code")
    return [cell for cell, marks in marked if marks.get("grade") and not marks.get("solution")]


def _is_changed(cell: Any, expected: list[Any] | None) -> bool:
    from nbgrader.utils import compute_checksum

    if expected is not None:
        return cell.source not in [other.source for other in expected if _name(other) == _name(cell)]
    # Without the release: against the sum that the release wrote into the cell.
    try:
        return bool(marks_of(cell).get("checksum", compute_checksum(cell)) != compute_checksum(cell))
    except (KeyError, TypeError, ValueError):  # the marks themselves were changed
        return True


def touched_tests(notebook: Path, release: Path) -> str:
    """Which test cells of a notebook are not its release's, in words; nothing when all are, or it cannot be read.

    Checks that a cell of the student's defines anew are named as well.
    """
    try:
        content = _read(notebook)
    except ValueError:  # the grader says so
        return ""
    expected, tests = _tests(_read(release)), _tests(content)
    names = collections.Counter(_name(cell) for cell in tests)
    marks = {_name(cell): _marks(cell) for cell in expected}
    here = [name for name in names if name in marks]
    there = [name for name in marks if name in names]
    found = {
        "changed": [_name(cell) for cell in tests if _is_changed(cell, expected)],
        "deleted": [_name(cell) for cell in expected if _name(cell) not in names],
        "moved": [name for name, other in zip(here, there, strict=True) if name != other],
        "copied": [name for name, times in names.items() if times > 1],
        "given other marks": [_name(cell) for cell in tests if _marks(cell) != marks.get(_name(cell), _marks(cell))],
    }
    said = [f"{what} {some_of(list(dict.fromkeys(names)), _NAMED)}" for what, names in found.items() if names]
    parts = [f"test cells {'; '.join(said)}"] if said else []
    if redefined := _redefined(content):
        parts.append(f"cells that replace {some_of(redefined, _NAMED)}")
    return one_line(" and ".join(parts), 300)


def _redefined(content: Any) -> list[str]:
    """The course's checks that a cell of the student's binds to something else, in a module or beside it."""
    found: set[str] = set()
    tests = {id(cell) for cell in _tests(content)}
    for cell in content.cells:
        if cell.cell_type != "code" or id(cell) in tests:
            continue
        with contextlib.suppress(SyntaxError, ValueError):
            for node in ast.walk(ast.parse(cell.source)):
                match node:
                    case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                        found.add(name)
                    case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                        found.add(name)
                    case ast.Call(func=ast.Name(id="setattr"), args=[_, ast.Constant(value=str(name)), *_]):
                        found.add(name)
    return sorted(found & set(CHECKS))


def _marks(cell: Any) -> tuple[Any, Any]:
    """What could change how a test is run, or what it is worth, if a grader believed it."""
    return marks_of(cell).get("points"), cell["metadata"].get("tags")


def _deleted(content: Any, expected: list[Any] | None) -> list[str]:
    if expected is not None:
        here = {_name(cell) for cell in _tests(content)}
        return [f"the test cell {_name(cell)} was deleted." for cell in expected if _name(cell) not in here]
    # Points are written in tests, and in the cells that a person grades.
    there = sum(float(marks_of(cell).get("points", 0) or 0) for cell in content.cells)
    return [f"test cells for {TOTAL - there:g} of the {TOTAL} points were deleted."] if there < TOTAL else []


def _unwritten(content: Any) -> list[str]:
    cells = [cell for cell in content.cells if cell.cell_type == "code" and marks_of(cell).get("solution")]
    return [f"{_name(cell)} is not written yet: it still raises NotImplementedError." for cell in cells if _left(cell)]


def reference_missing(source: Path) -> str:
    """Why an instructor's notebook holds no reference solution; nothing if it does."""
    content = _read(source)
    if not any(cell.cell_type == "code" and marks_of(cell).get("solution") for cell in content.cells):
        return "it has no solution cell."
    return next(iter(_unwritten(content)), "")


def _left(cell: Any) -> bool:
    """Whether the stub of the release is still in the cell."""
    try:
        raised = [node.exc for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Raise)]
    except (SyntaxError, ValueError):
        return False  # running it says so
    names = [error.func if isinstance(error, ast.Call) else error for error in raised]
    return any(isinstance(name, ast.Name) and name.id == "NotImplementedError" for name in names)


def _is_hidden(cell: Any) -> bool:
    """Whether nothing of the test is in the student's notebook."""
    try:
        body = ast.parse(cell.source).body
    except (SyntaxError, ValueError):
        return False
    return all(isinstance(node, ast.Import | ast.ImportFrom) for node in body)


def _execute(content: Any, folder: Path, seconds: float, cell_seconds: float) -> dict[int, str]:
    """Run the cells in place; for each that was not run to its end, by its place, the reason."""
    for cell in content.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    done: set[int] = set()
    client = _client(content, folder, cell_seconds, functools.partial(_note, done))
    stopped = _run(_run_cells(client, seconds))
    return {place: stopped for place in range(len(content.cells)) if place not in done}


def _client(content: Any, folder: Path, cell_seconds: float, note: Callable[..., None]) -> Any:
    from nbclient import NotebookClient

    return NotebookClient(
        content,
        timeout=max(1, round(cell_seconds)),
        startup_timeout=120,
        kernel_name="python3",
        allow_errors=True,
        interrupt_on_timeout=True,
        error_on_timeout={
            "ename": "TimeoutError",
            "evalue": f"the cell took longer than {cell_seconds:g} s.",
            "traceback": [],
        },
        extra_arguments=[FENCED],
        resources={"metadata": {"path": str(folder.resolve())}},
        on_cell_executed=note,
    )


def _note(done: set[int], cell: Any, cell_index: int, execute_reply: Any) -> None:
    from nbformat.v4 import new_output

    done.add(cell_index)
    reply = execute_reply["content"]
    # An error that showed nothing (a time limit, an exception that cannot be shown) is an output too.
    if reply["status"] != "ok" and not errors_of(cell):
        words = {"ename": reply.get("ename", "Aborted"), "evalue": reply.get("evalue", "")}
        cell.outputs.append(new_output("error", traceback=[], **words))


async def _run_cells(client: Any, seconds: float) -> str:
    """Run them; why those that were not reached were not."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    try:
        # nbclient takes a cancelled cell for a dead kernel: so ask the clock.
        with contextlib.suppress(TimeoutError, DeadKernelError, CellTimeoutError):
            async with asyncio.timeout(seconds) as clock:
                # What the kernel's process writes past its cells is not for the terminal.
                environment = {**os.environ, "PYTHONOPTIMIZE": ""}  # tests need their asserts
                await client.async_execute(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    finally:
        if client.km is not None and client.km.has_kernel:  # stopped while it was starting: nbclient leaves it
            await client.km.shutdown_kernel(now=True)
    late = f"the notebook was stopped after {seconds:g} s, before this cell was done."
    return late if clock.expired() else "the kernel ended before this cell was done."


def _run(work: Coroutine[Any, Any, str]) -> str:
    """What the coroutine returns; also where a loop runs already, as in a notebook's cell."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with contextlib.closing(asyncio.new_event_loop()) as loop, ThreadPoolExecutor(1) as pool:
        task = loop.create_task(work)
        done = pool.submit(loop.run_until_complete, task)
        try:
            return done.result()
        except KeyboardInterrupt:
            loop.call_soon_threadsafe(task.cancel)  # which ends the kernel; the pool waits for it
            raise


def _with_causes(content: Any, checks: list[CheckResult]) -> list[CheckResult]:
    """The results of the tests; where a part uses a function that has failed above, the reason names that function."""
    tests, results = {id(cell) for cell in _tests(content)}, iter(checks)
    solution, broken, found = "", set[str](), []
    for cell in content.cells:
        if cell.cell_type == "code" and marks_of(cell).get("solution"):
            solution = cell.source
        if id(cell) not in tests:
            continue
        check, own = next(results), _functions_in(solution)
        if check.state == "fails":
            if causes := sorted(names_used(solution) & broken - own):
                words = f"{check.reason} It uses {' and '.join(causes)}, which failed above: mend that first."
                check = replace(check, reason=words)
            broken |= own
        found.append(check)
    return found


def _functions_in(source: str) -> set[str]:
    """The functions that a cell defines."""
    try:
        return {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    except (SyntaxError, ValueError):
        return set()


def _result(cell: Any, changed: bool, stopped: str | None) -> CheckResult:
    name = _name(cell)
    if changed:
        return CheckResult(name, "changed", "the test cell was changed; when it is graded, its own text comes back.")
    if _is_hidden(cell):
        return CheckResult(name, "hidden")
    if stopped is not None:
        return CheckResult(name, "fails", stopped)
    errors = errors_of(cell)
    return CheckResult(name, "fails", error_line(errors[0])) if errors else CheckResult(name, "passes")
