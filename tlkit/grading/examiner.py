"""Grade a notebook in two processes: a student's cells run in one, and what gives points in the other, this one.

Tests, oracles and points stay here. A test cell that names a student's function gets a stand-in that calls it in the
student's process (``tlkit.grading.student``) and hands back a copy of what it returns. Cells that students cannot
change run on both sides. When a function has failed a test, later parts are checked with the reference's in its place,
so that a mistake costs its own points only; each test says which of these it has called.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tlkit.files.fetching import fetched_folder
from tlkit.grading.limits import limited, limits_elsewhere
from tlkit.grading.meter import seconds_of
from tlkit.grading.notebook import (
    HIDDEN_TESTS,
    KERNEL_GONE,
    marks_of,
    names_bound,
    names_used,
    show_lent,
    without_block,
)
from tlkit.grading.peer import Peer
from tlkit.grading.sandbox import bubblewrap, end_tree, process_tree, sandboxed_process, world_of_its_own
from tlkit.grading.wire import Gone, Wire
from tlkit.words import one_line, said

__all__ = [
    "Cell",
    "Outcome",
    "StudentProcess",
    "cell_of",
    "examine",
    "last_to_run",
    "outputs_of",
    "solutions_of",
    "started_student",
    "student_sandbox",
]

# What a cell may show. The process that says it is a student's.
_SHOWN = {"text/plain", "text/html", "text/markdown", "text/latex", "image/png", "image/jpeg"}
_MOST_SHOWN, _LONGEST = 50, 2**20  # outputs of a cell, and characters of one


@dataclass(frozen=True)
class Cell:
    """A code cell; ``kind`` is ``"test"``, ``"solution"``, ``"locked"`` (students cannot change it) or ``"free"``."""

    name: str
    kind: str
    source: str


@dataclass(frozen=True)
class Outcome:
    """How a cell came out: name and words of its error or two empty strings, what it printed, and what it showed.

    ``lent`` names the reference's functions that a test has called in place of a student's that had failed before.
    """

    error: str = ""
    words: str = ""
    stdout: str = ""
    stderr: str = ""
    shown: tuple[dict[str, str], ...] = ()
    run: bool = True
    lent: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudentProcess:
    """A started process that serves ``tlkit.grading.student.be_student``, and how to stop and end it.

    ``spent`` says how many seconds it and what it has started have had on the processor.
    """

    wire: Wire
    interrupt: Callable[[], None]
    end: Callable[[], None]
    spent: Callable[[], float] = time.monotonic


# From a notebook, and back into it


def cell_of(cell: Any) -> Cell:
    """A notebook's code cell, with nbgrader's marks in it, as the examiner takes it."""
    marks = marks_of(cell)
    if marks.get("solution"):
        kind = "solution"
    elif marks.get("grade"):
        kind = "test"
    else:
        kind = "locked" if marks.get("locked") else "free"
    return Cell(str(marks.get("grade_id", "")), kind, cell["source"])


def solutions_of(notebook: Any) -> dict[str, str]:
    """The source of each solution cell of the instructor's notebook, by its name."""
    cells = [
        cell_of({**cell, "source": "".join(cell["source"])})
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]
    return {cell.name: cell.source for cell in cells if cell.kind == "solution"}


def last_to_run(cells: Sequence[Any]) -> int:
    """The place, among the code cells, of the last one that is graded or stands above an answer in words.

    A person who grades that answer wants to see what the cells between show.
    """
    graded = [
        place for place, cell in enumerate(cells) if marks_of(cell).get("grade") or marks_of(cell).get("solution")
    ]
    until = max(graded, default=-1)
    return len([cell for cell in cells[: until + 1] if cell["cell_type"] == "code"]) - 1


def outputs_of(outcome: Outcome) -> list[Any]:
    """What a cell of the graded notebook shows: of a test its error, and what it was tested with."""
    from nbformat.v4 import new_output

    outputs = [
        new_output("stream", name=name, text=text)
        for name, text in (("stdout", outcome.stdout), ("stderr", outcome.stderr))
        if text
    ]
    outputs += [new_output("display_data", data=data) for data in outcome.shown]
    if outcome.error:
        said = [f"{outcome.error}: {outcome.words}"]
        outputs.append(new_output("error", ename=outcome.error, evalue=outcome.words, traceback=said))
    return outputs + show_lent(outcome.lent)


# A student's process


@functools.cache
def student_sandbox(megabytes: float | None = None) -> list[str]:
    """The sandbox of this machine for a process that may read what was fetched; empty where there is none.

    Args:
        megabytes: As :func:`tlkit.grading.sandbox.bubblewrap` takes it.
    """
    return bubblewrap(*sorted(fetched_folder().glob("*")), megabytes=megabytes)


@contextlib.contextmanager
def started_student(folder: Path, sandbox: Sequence[str] = ()) -> Iterator[StudentProcess]:
    """A student's process with a copy of a folder for its files; it and all that it has started are ended at last.

    Args:
        folder: What was handed in beside the notebook.
        sandbox: The beginning of the command line, as :func:`tlkit.grading.sandbox.bubblewrap` makes it. With none, the
            process gets a home and a folder for temporary files of its own, and gives up what rights it can
            (``tlkit.grading.landlock``); where it can give up none, it has those of whoever grades.
    """
    with world_of_its_own() as (world, environment), contextlib.ExitStack() as stack:
        work = world / "work"
        # Not the notebook: by now nbgrader has put the hidden tests into it.
        shutil.copytree(folder, work, symlinks=True, ignore=shutil.ignore_patterns("*.ipynb"))
        command = [sys.executable, "-P", "-m", "tlkit.grading.student"]
        if sandbox:
            beside = ["--ro-bind", str(work), "/handed-in", "--remount-ro", "/"]
            command = [*sandbox, *beside, *command, "/handed-in"]
            # bubblewrap stays as process 1 in there, and shows what it was started with to whoever looks.
            environment = {"PATH": os.environ.get("PATH", "")}
        else:
            command += ["", str(world)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/" if sandbox else work,
            env=environment,
            start_new_session=os.name == "posix",
        )
        stack.callback(end_tree, process)
        if process.stdin is None or process.stdout is None:
            raise ValueError("process must have a pipe each way, got none.")
        wire = Wire(process.stdin.fileno(), process.stdout.fileno())
        wire.listen()

        def interrupt() -> None:
            inside = sandboxed_process(process.pid)
            with contextlib.suppress(Exception):
                inside.send_signal(signal.SIGINT)

        spent = seconds_of(lambda: process_tree(process.pid))
        yield StudentProcess(wire, interrupt, lambda: end_tree(process), spent)


def examine(
    cells: Sequence[Cell],
    reference: Mapping[str, str],
    student: StudentProcess,
    *,
    cell_seconds: float,
    last: int | None = None,
) -> list[Outcome]:
    """Run the cells of a notebook and its tests.

    Args:
        cells: The notebook's code cells, tests with their hidden parts.
        reference: The source of each solution cell, by its name.
        cell_seconds: Limit on each cell, of the processor's time (``tlkit.grading.meter.Meter``).
        last: The place of the last cell to run; by default the last test or solution, since what stands below it can
            change no points.
    """
    if last is None:
        last = max((place for place, cell in enumerate(cells) if cell.kind in ("test", "solution")), default=-1)
    with tempfile.TemporaryDirectory(prefix="tlkit-", ignore_cleanup_errors=True) as name:
        try:
            return _Examination(cells, reference, student, Path(name).resolve(), cell_seconds, last).run()
        finally:
            # The next submission's layers are counted from 1 again, and memory is given back.
            if "keras" in sys.modules:
                sys.modules["keras"].backend.clear_session()


@dataclass
class _Examination:
    cells: Sequence[Cell]
    reference: Mapping[str, str]
    student: StudentProcess
    files: Path
    seconds: float
    last: int
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__", "__builtins__": builtins})
    part: str = ""  # the solution cell that the next tests look at
    lost: set[str] = field(default_factory=set)  # parts that have lost a test
    failed: dict[str, Any] = field(default_factory=dict)  # the reference's functions in place of those of lost parts
    called: set[str] = field(default_factory=set)  # which of them the running test has called

    def run(self) -> list[Outcome]:
        """Each cell in order."""
        self.peer = Peer(self.student.wire, 0, self.files, overdue=self._overdue, spent=self.student.spent)
        outcomes: list[Outcome] = []
        gone = ""
        with _temporary_files_in(self.files):
            for place, cell in enumerate(self.cells):
                if place > self.last:
                    outcomes.append(Outcome(run=False))
                    continue
                if not gone:
                    try:
                        outcomes.append(self._cell(place, cell))
                        continue
                    except Gone:
                        gone = f"{KERNEL_GONE} It ended at {cell.name or 'a cell of your own'}."
                        self.student.end()
                outcomes.append(Outcome("KernelGone", gone))
        return outcomes

    def _overdue(self, told: bool) -> None:
        if told:
            self.student.end()
            raise Gone("it did not stop")
        self.student.interrupt()

    def _cell(self, place: int, cell: Cell) -> Outcome:
        """How a cell came out; an answer that is none costs that cell, and not the submission."""
        try:
            return self._come_out(place, cell)
        except (Gone, KeyboardInterrupt):
            raise
        except Exception as error:
            return _failed(error)

    def _come_out(self, place: int, cell: Cell) -> Outcome:
        if cell.kind == "test":
            self._show_what_is_needed(place, cell)
            self.called.clear()
            outcome = replace(self._test(cell), lent=tuple(sorted(self.called)))
            if outcome.error and self.part in self.reference:
                self.lost.add(self.part)
            return outcome
        if cell.kind == "solution":
            self._replace_what_failed()
            self.part = cell.name
        outcome = self._run(cell.source)
        if cell.kind == "locked":
            ours = self._here(cell)
            if ours.error:
                return ours
        return outcome

    def _run(self, source: str) -> Outcome:
        """A cell in the student's process."""
        try:
            with limits_elsewhere(), limited(self.seconds):
                error, stdout, stderr, shown = self.peer.ask({"run": "cell"}, [source])
                kind, words = (one_line(error[0], 60), _text(error[1], 2000)) if error else ("", "")
                pictures = [{mime: _text(data) for mime, data in one if mime in _SHOWN} for one in shown[:_MOST_SHOWN]]
                return Outcome(kind, words, _text(stdout), _text(stderr), tuple(filter(None, pictures)))
        except TimeoutError:
            return Outcome("TimeoutError", f"the cell was stopped after {self.seconds:g} s.")
        except Gone:
            raise
        except Exception as error:
            return _failed(error)

    def _test(self, cell: Cell) -> Outcome:
        """A test cell, here; the student's functions stand in it for themselves."""
        try:
            self._bind(cell)
        except Gone:
            raise
        except Exception as error:
            return _failed(error)
        return self._here(cell)

    def _here(self, cell: Cell) -> Outcome:
        try:
            with limits_elsewhere():
                exec(_compiled(cell.source, cell.name), self.names)
        except (Gone, KeyboardInterrupt):
            raise
        except BaseException as error:
            return Outcome(type(error).__name__, _text(said(error), 2000))
        return Outcome()

    # The student's functions

    def _bind(self, cell: Cell) -> None:
        """Put what the cell names of the student's into its namespace, and take out what is no more."""
        wanted = sorted(names_used(cell.source) & frozenset().union(*map(names_bound, self.reference.values())))
        with limits_elsewhere(), limited(self.seconds):
            there = set(self.peer.ask({"run": "names"}, [wanted]))
            for name in wanted:
                self.names.pop(name, None)
                if name in self.failed:
                    self.names[name] = self.failed[name]
                elif name in there:
                    value = self.peer.ask({"run": "get"}, [name])
                    self.names[name] = self._stand_in(name) if value is None else value[0]

    def _stand_in(self, name: str) -> Callable[..., Any]:
        def student(*arguments: Any) -> Any:
            return self.peer.ask({"name": name}, list(arguments))

        student.__name__ = student.__qualname__ = name
        return student

    # The reference in place of what was wrong

    def _replace_what_failed(self) -> None:
        """Before the next part: what has lost a test is the reference's from now on, here and for the student."""
        if not self.lost:
            return
        with limits_elsewhere():
            right = {name: value for name, value in self.names.items() if name not in self.failed}
            for name, source in self.reference.items():
                exec(_compiled(source, f"reference {name}"), right)
            functions = {
                name: self._noted(name, right[name])
                for part in self.lost
                for name in names_bound(self.reference[part])
                if isinstance(right.get(name), types.FunctionType)
            }
            self.failed.update(functions)
            self.lost.clear()
            with limited(self.seconds):
                self.peer.ask({"run": "bind"}, [functions])

    def _noted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, which notes that it was called: by the test itself, or by the student's process."""

        @functools.wraps(function)
        def lent(*arguments: Any, **options: Any) -> Any:
            self.called.add(name)
            return function(*arguments, **options)

        return lent

    def _show_what_is_needed(self, place: int, cell: Cell) -> None:
        """Let the student's process run the visible part of a test if a later cell there uses a name that it binds."""
        rest = self.cells[place + 1 : self.last + 1]
        later = [other.source for other in rest if other.kind in ("solution", "free")]
        visible = without_block(cell.source, *HIDDEN_TESTS)
        names = sorted(names_bound(visible) & set().union(*map(names_used, later)))
        if not names:
            return
        with limits_elsewhere(), limited(self.seconds):
            there = self.peer.ask({"run": "names"}, [names])
        if set(names) - set(there):
            self._run(visible)


def _compiled(source: str, name: str) -> types.CodeType:
    """A cell of the course's, with its asserts: ``python -O`` would leave them out, and each test would pass."""
    return compile(source, f"<{name}>", "exec", dont_inherit=True, optimize=0)


def _failed(error: Exception) -> Outcome:
    """How a cell came out that could not be run; a student's process may have chosen the words."""
    return Outcome(type(error).__name__, one_line(_text(said(error), 2000), 400))


def _text(value: object, limit: int = _LONGEST) -> str:
    """What a student's process says, as text that can be written down: JSON may hold half a character."""
    return str(value)[:limit].encode("utf-8", "replace").decode()


@contextlib.contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Tests make their temporary files there, from where they can be handed over."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
