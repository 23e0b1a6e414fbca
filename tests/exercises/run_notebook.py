"""Run the cells of a notebook in a process that runner.py starts for it; of an exercise, as under the autograder."""

import json
import os
from multiprocessing.connection import Connection


def run_cells(sources: list[str], report: Connection, fenced: bool) -> None:
    """Send a message after each cell: the error that it ended with, or null. What the cells print goes nowhere.

    Students' cells run behind the grader's fence, and all of them; of a lesson's what comes after an error is no use.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)

    from IPython.core.interactiveshell import InteractiveShell

    from tlkit.grading import fence

    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    shell.ask_exit = lambda: None  # the fence keeps a kernel from ending at exit(); this shell has nothing to end
    shell.showtraceback = lambda *arguments, **options: None
    if fenced:
        fence()
    for source in sources:
        try:
            result = shell.run_cell(source, store_history=True)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as outside:  # an interrupt between the cell and its end
            error = outside
        report.send_bytes(json.dumps(_words(error)).encode())
        if error and not fenced:
            break
    os._exit(0)  # whatever threads a cell has left


def _words(error: BaseException | None) -> str | None:
    if error is None:
        return None
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:  # an exception of the student's
        return type(error).__name__
