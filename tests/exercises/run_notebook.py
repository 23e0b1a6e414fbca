"""What runner.py runs in processes that it starts: a student's, the examiner's, and that of a lesson's notebook."""

import contextlib
import gc
import json
import os
import signal
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


def be_student(connection: Connection, folder: str) -> None:
    """A student's process, behind the grader's fence; it works in ``folder``, which whoever started it removes."""
    from tlkit.grading import student

    _prepare(folder)
    work, files = Path(folder) / "work", Path(folder) / "files"
    for place in (work, files):
        place.mkdir()
    os.chdir(work)
    student.be_student(connection.fileno(), connection.fileno(), files.resolve())


def examine_cells(
    cells: list[Any],
    reference: dict[str, str],
    connection: Connection,
    student: int,
    cell_seconds: float,
    report: Connection,
    folder: str,
) -> None:
    """Examine a student's process; send each cell's error, name and words. Temporary files go to ``folder``."""
    from tlkit.grading.examiner import StudentProcess, examine
    from tlkit.grading.meter import seconds_of
    from tlkit.grading.sandbox import process_tree
    from tlkit.grading.wire import Wire

    _say_nothing()
    _prepare(folder)
    wire = Wire(connection.fileno(), connection.fileno())
    wire.listen()

    def send(number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(student, number)

    spent = seconds_of(lambda: process_tree(student))
    process = StudentProcess(wire, lambda: send(signal.SIGINT), lambda: send(signal.SIGKILL), spent)
    outcomes = examine(cells, reference, process, cell_seconds=cell_seconds)
    report.send_bytes(json.dumps([[one.error, one.words] for one in outcomes]).encode())
    os._exit(0)


def run_cells(sources: list[str], report: Connection, folder: str) -> None:
    """Send a message after each cell: the error that it ended with, or null. What comes after an error is no use.

    Temporary files go to ``folder``.
    """
    _say_nothing()
    _prepare(folder)

    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    shell.showtraceback = lambda *arguments, **options: None
    for source in sources:
        try:
            result = shell.run_cell(source, store_history=True)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as outside:  # an interrupt between the cell and its end
            error = outside
        report.send_bytes(json.dumps(None if error is None else f"{type(error).__name__}: {error}").encode())
        if error:
            break
    os._exit(0)  # whatever threads a cell has left


def _prepare(folder: str) -> None:
    """Make temporary files there: a process that is killed removes none, TensorFlow's of its own included."""
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    gc.freeze()  # what the fork server has imported stays to the end


def _say_nothing() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
