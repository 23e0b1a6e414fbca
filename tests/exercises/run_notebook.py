"""What runner.py runs in processes that it starts: a student's, the examiner's, and that of a lesson's notebook."""

import contextlib
import json
import os
import signal
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


def be_student(connection: Connection) -> None:
    """A student's process, behind the grader's fence."""
    from tlkit.grading import student

    os.chdir(tempfile.mkdtemp(prefix="tlkit-"))
    student.be_student(connection.fileno(), connection.fileno(), Path(tempfile.mkdtemp(prefix="tlkit-")).resolve())


def examine_cells(
    cells: list[Any],
    reference: dict[str, str],
    connection: Connection,
    student: int,
    cell_seconds: float,
    report: Connection,
) -> None:
    """Examine a student's process; send each cell's error, name and words."""
    from tlkit.grading.examiner import StudentProcess, examine
    from tlkit.grading.wire import Wire

    _say_nothing()
    wire = Wire(connection.fileno(), connection.fileno())
    wire.listen()

    def send(number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(student, number)

    process = StudentProcess(wire, lambda: send(signal.SIGINT), lambda: send(signal.SIGKILL))
    outcomes = examine(cells, reference, process, cell_seconds=cell_seconds)
    report.send_bytes(json.dumps([[one.error, one.words] for one in outcomes]).encode())
    os._exit(0)


def run_cells(sources: list[str], report: Connection) -> None:
    """Send a message after each cell: the error that it ended with, or null. What comes after an error is no use."""
    _say_nothing()

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


def _say_nothing() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
