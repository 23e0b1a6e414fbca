"""A course folder of nbgrader's: how it is made, how nbgrader is called on it, and its gradebook."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sysconfig
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tlkit.grading.feedback import configure_feedback
from tlkit.grading.notebook import need_extra, parts_of
from tlkit.words import one_line

__all__ = ["Course", "prepare_course"]

_DATABASE = threading.Lock()


@dataclass(frozen=True)
class Course:
    """A prepared folder, and the tests of its assignment in order, each with the part that it belongs to."""

    root: Path
    config: Path
    assignment: str
    notebook: str
    tests: tuple[str, ...]
    parts: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """One line for each result; what a later run finds here is not graded again."""
        return self.root / f"graded_{self.assignment}.jsonl"


def prepare_course(exercises: Path, assignment: str, out: Path) -> Course:
    """Make ``out`` a course folder of nbgrader's that knows the assignment; what it holds already stays.

    Args:
        exercises: The instructor's folder: ``nbgrader_config.py`` and ``source/ps1/*.ipynb``, as ``make exercises``
            builds them.

    Raises:
        ValueError: The extra is not installed, there is no such assignment, or nbgrader refuses it.
    """
    need_extra()
    if not (exercises / "nbgrader_config.py").is_file():
        raise ValueError(f"--course must be a folder with nbgrader_config.py and source/, got {str(exercises)!r}.")
    if "ExamineApart" not in (exercises / "nbgrader_config.py").read_text(encoding="utf-8"):
        raise ValueError(
            f"--course must hold this version's nbgrader_config.py, got one that runs students' code beside the tests: "
            f"{str(exercises)!r}."
        )
    known = sorted(path.name for path in (exercises / "source").glob("*") if path.is_dir())
    if assignment not in known:
        raise ValueError(f"--assignment must be one of {', '.join(known) or 'none here'}, got {assignment!r}.")
    notebooks = sorted((exercises / "source" / assignment).glob("*.ipynb"))
    if len(notebooks) != 1:
        raise ValueError(
            f"source/{assignment} must hold one notebook (make exercises builds it), got {len(notebooks)}."
        )
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out must be a folder, got the file {str(out)!r}.")
    source = out / "source" / assignment / notebooks[0].name
    config = out / "nbgrader_config.py"
    changed = not source.is_file() or source.read_bytes() != notebooks[0].read_bytes()  # never when it is the same file
    if out.resolve() != exercises.resolve():
        source.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(exercises / "nbgrader_config.py", config)
        if changed:
            shutil.copyfile(notebooks[0], source)
    cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
    parts = parts_of(cells)
    course = Course(out.resolve(), config.resolve(), assignment, source.stem, tuple(parts), parts)
    released = (out / "gradebook.db").is_file() and (out / "release" / assignment / source.name).is_file()
    if changed or not released:
        try:
            _release(course)
        except ValueError:
            if changed:
                source.unlink()  # the copy, so that the next run tries again
            raise
    return course


def _release(course: Course) -> None:
    with _quiet():
        result = course_api(course.config, course.root).generate_assignment(course.assignment, force=True)
    if not result["success"]:
        raise ValueError(f"nbgrader must be able to release {course.assignment}, and said: {last_error(result)}")


def course_api(config_file: Path, root: Path, sandbox: list[str] | None = None) -> Any:
    """The API of nbgrader for the course folder ``root``, configured by ``config_file``.

    Args:
        sandbox: The beginning of the command line of a student's process; ``None`` leaves it to the configuration.
    """
    from nbgrader.apps import NbGraderAPI
    from traitlets.config.loader import PyFileConfigLoader

    # nbgrader starts a program, alembic, by its name: that of this environment, activated or not.
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    config = PyFileConfigLoader(config_file.name, path=str(config_file.parent)).load_config()
    config.CourseDirectory.root = str(root)
    if sandbox is not None:
        config.ExamineApart.sandbox = sandbox
    configure_feedback(config)  # whatever course this is
    return NbGraderAPI(config=config)


def last_error(result: dict[str, Any]) -> str:
    """The line of nbgrader's log that says most: the exception that it caught last."""
    log = str(result.get("log") or "")
    errors = re.findall(r"^ {0,4}[\w.]*\b(\w+(?:Error|Exception|Entry)\b.*)", log, flags=re.MULTILINE)
    said = re.findall(r"^\[ERROR\] (.*)", log, flags=re.MULTILINE)
    return one_line((errors or said or [result.get("error") or "no message"])[-1], 300)


@contextlib.contextmanager
def open_gradebook(course: Course) -> Iterator[Any]:
    """The course's gradebook, for one thread at a time."""
    from nbgrader.api import Gradebook

    # Warnings are silenced for all threads.
    with _DATABASE, _quiet(), Gradebook(f"sqlite:///{course.root / 'gradebook.db'}", "tlkit") as gradebook:
        yield gradebook


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SQLAlchemy and nbformat, about nbgrader's own calls
        yield
