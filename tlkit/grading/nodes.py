"""Grading on the nodes of a cluster: what is sent to a node, what comes back, and how it joins the course folder.

Nothing is shared between nodes: each process has a course folder of its own, with one gradebook, and grades there as
``tlkit grade`` does on one machine. Of each submission the grades and the files that nbgrader wrote come back.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tlkit.grading.course import Course, open_gradebook
from tlkit.grading.examiner import student_sandbox
from tlkit.grading.worker import Worker

__all__ = ["Brought", "OnNode", "Sent", "course_files", "read_files", "take"]

_WRITTEN = ("autograded", "feedback")


@dataclass(frozen=True)
class Sent:
    """A submission on its way: the content of its files, the notebook under the assignment's name."""

    student: str
    fingerprint: str
    problem: str
    files: dict[str, bytes]


@dataclass(frozen=True)
class Brought:
    """What came of it: the result, what nbgrader wrote, and the fields of each grade and comment by its cell."""

    graded: Any
    files: dict[str, bytes] = field(default_factory=dict)
    grades: dict[str, dict[str, Any]] = field(default_factory=dict)
    comments: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_files(root: Path, folders: Sequence[Path]) -> dict[str, bytes]:
    """The content of all files in some folders of ``root``, by their name from there."""
    files = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def course_files(course: Course) -> dict[str, bytes]:
    """What a node needs of a course folder: the assignment, and a gradebook that knows it."""
    folders = [course.root / name / course.assignment for name in ("source", "release")]
    alone = {name: (course.root / name).read_bytes() for name in (course.config.name, "gradebook.db")}
    return alone | read_files(course.root, folders)


class OnNode:
    """A course folder of its own, and a worker: on a node, or here; called with what was sent, it grades that.

    Args:
        grade: What grades one submission: the function of one machine.
        files: Of the course folder.
        course: The one that these are of; its paths are another machine's.
        sandbox: Whether students' code runs in bubblewrap's.

    Raises:
        ValueError: The node has no bubblewrap.
    """

    def __init__(
        self,
        grade: Callable[[Worker, Sent, Course, Path], Any],
        files: dict[str, bytes],
        course: Course,
        *,
        seconds: float,
        megabytes: float,
        feedback: bool,
        sandbox: bool,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tlkit-", ignore_cleanup_errors=True)
        root = Path(self._folder.name).resolve() / "course"
        _write_files(root, files)
        self._course = Course(
            root, root / course.config.name, course.assignment, course.notebook, course.tests, course.parts
        )
        inside = student_sandbox(megabytes) if sandbox else []
        if sandbox and not inside:
            raise ValueError("each node must have bubblewrap, as the machine that started this has, got one without.")
        self._grade = grade
        self._worker = Worker(self._course, seconds, megabytes, feedback, inside, threading.Event())

    def __call__(self, sent: Sent) -> Brought:
        """Grade a submission; of it nothing stays in this process but the gradebook's rows."""
        with tempfile.TemporaryDirectory(prefix="tlkit-") as name:
            _write_files(Path(name), sent.files)
            graded = self._grade(self._worker, sent, self._course, Path(name))
        folders = [self._course.root / name / sent.student / self._course.assignment for name in _WRITTEN]
        with open_gradebook(self._course) as gradebook:
            notebooks = gradebook.find_submission(self._course.assignment, sent.student).notebooks
            return Brought(
                graded,
                read_files(self._course.root, folders),
                {one.name: _fields(one, _OF_GRADES) for notebook in notebooks for one in notebook.grades},
                {one.name: _fields(one, _OF_COMMENTS) for notebook in notebooks for one in notebook.comments},
            )

    def end(self) -> None:
        """End the worker, and remove the folder."""
        if worker := getattr(self, "_worker", None):
            worker.end()
        self._folder.cleanup()

    def __del__(self) -> None:
        self.end()


# What autograding decides; a grade or comment that a person gave stays.
_OF_GRADES = ("auto_score", "extra_credit", "needs_manual_grade")
_OF_COMMENTS = ("auto_comment",)


def _fields(row: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def take(course: Course, student: str, brought: Brought) -> None:
    """Write into the course folder and its gradebook what a node has brought."""
    _write_files(course.root, brought.files)
    with open_gradebook(course) as gradebook:
        gradebook.update_or_create_student(student)
        submission = gradebook.update_or_create_submission(course.assignment, student)
        for notebook in submission.notebooks:
            for rows, found in ((notebook.grades, brought.grades), (notebook.comments, brought.comments)):
                for row in rows:
                    for name, value in found.get(row.name, {}).items():
                        setattr(row, name, value)
        gradebook.db.commit()


def _write_files(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
