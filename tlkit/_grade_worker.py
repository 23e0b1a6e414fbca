"""A process that autogrades one submission after the other with nbgrader; :mod:`tlkit.submissions` starts it.

It reads a student a line and answers a line of JSON to each. When its input ends, because whoever started it has gone,
it ends its kernels and itself.
"""

from __future__ import annotations

import json
import os
import queue
import re
import sys
import sysconfig
import threading
from pathlib import Path
from typing import Any

from tlkit.exercise_checks import mend_lost_wakeups, one_line

_TELLING = 20  # characters


def course_api(config_file: Path, root: Path) -> Any:
    """The API of nbgrader for the course folder ``root``, configured by ``config_file``."""
    from nbgrader.apps import NbGraderAPI
    from traitlets.config.loader import PyFileConfigLoader

    # nbgrader starts a program, alembic, by its name: that of this environment, activated or not.
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    config = PyFileConfigLoader(config_file.name, path=str(config_file.parent)).load_config()
    config.CourseDirectory.root = str(root)
    config.GenerateFeedback.preprocessors = feedback_preprocessors()  # whatever course this is
    return NbGraderAPI(config=config)


def feedback_preprocessors() -> list[Any]:
    """What nbgrader has itself, and one that leaves a student only what a student may see."""
    from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
    from nbgrader.preprocessors import ClearHiddenTests, GetGrades
    from nbgrader.utils import is_grade

    class Discreet(ClearHiddenTests):  # type: ignore[misc]  # nbgrader ships no types
        """No hidden tests, no tracebacks (they quote them), no outputs of other cells (they may print them)."""

        def preprocess(self, nb: Any, resources: Any) -> Any:
            self._hidden = hidden_lines([cell.source for cell in nb.cells])
            return super().preprocess(nb, resources)

        def preprocess_cell(self, cell: Any, resources: Any, cell_index: int) -> Any:
            cell, resources = super().preprocess_cell(cell, resources, cell_index)
            if cell.cell_type == "code":
                errors = [output for output in cell.outputs if output.output_type == "error"]
                cell.outputs = errors[:1] if is_grade(cell) else []
                for error in cell.outputs:
                    words = error_line(error)
                    if any(line in words for line in self._hidden):  # a student's exception can hold any text
                        words = "The reason quotes hidden tests, and is not shown."
                    error.evalue, error.traceback = words, [words]
            return cell, resources

    return [GetGrades, Discreet, CSSHTMLHeaderPreprocessor]


def hidden_lines(sources: list[str]) -> set[str]:
    """The beginnings of the lines that stand in hidden tests and nowhere else, those that are long enough to tell."""
    hidden: set[str] = set()
    shown: set[str] = set()
    for source in sources:
        inside = False
        for line in source.splitlines():
            if "BEGIN HIDDEN TESTS" in line or "END HIDDEN TESTS" in line:
                inside = "BEGIN" in line
            else:
                (hidden if inside else shown).add(one_line(line)[:_TELLING])
    return {line for line in hidden - shown if len(line) == _TELLING}


def error_line(error: Any) -> str:
    """What a failed test cell says, in one line; a check's own words need no name of an exception before them."""
    words, kind = one_line(error["evalue"]), one_line(error["ename"], 60)
    return words if kind in ("AssertionError", "KernelGone") and words else f"{kind}: {words or 'no message'}"


def grade_one(api: Any, root: Path, assignment: str, student: str, feedback: bool) -> dict[str, Any]:
    """Autograde a submission; ``reasons`` holds a line for each test cell that failed."""
    result = api.autograde(assignment, student, force=True)
    if not result["success"]:
        return {"success": False, "log": last_error(result)}
    reasons = {}
    for path in (root / "autograded" / student / assignment).glob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            marks = cell["metadata"].get("nbgrader", {})
            errors = [output for output in cell.get("outputs", []) if output["output_type"] == "error"]
            if errors and marks.get("grade"):
                reasons[marks["grade_id"]] = error_line(errors[0])
    if feedback:
        made = api.generate_feedback(assignment, student, force=True)
        if not made["success"]:
            return {"success": False, "log": f"no feedback: {last_error(made)}"}
    return {"success": True, "reasons": reasons}


def last_error(result: dict[str, Any]) -> str:
    """The line of nbgrader's log that says most: the exception that it caught last."""
    log = str(result.get("log") or "")
    errors = re.findall(r"^ {0,4}[\w.]*\b(\w+(?:Error|Exception|Entry)\b.*)", log, flags=re.MULTILINE)
    said = re.findall(r"^\[ERROR\] (.*)", log, flags=re.MULTILINE)
    return one_line((errors or said or [result.get("error") or "no message"])[-1], 300)


def end_kernels() -> None:
    """End whatever this process has started."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        child.kill()


def main(config_file: str, root: str, assignment: str, feedback: str) -> None:
    """Grade the students whose names come in, until no more come."""
    # Answers go where standard output went; nbgrader and the kernels write to nowhere.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)

    students: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            students.put(json.loads(line))
        end_kernels()
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    mend_lost_wakeups()
    api = course_api(Path(config_file), Path(root))
    while True:
        student = students.get()
        try:
            answer = grade_one(api, Path(root), assignment, student, feedback == "feedback")
        except Exception as error:  # nothing that a notebook holds may end the worker
            answer = {"success": False, "log": one_line(f"{type(error).__name__}: {error}", 300)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
