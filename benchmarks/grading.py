"""A class's ps1 by nbgrader as it comes, one process, and by ``tlkit grade``, a worker a core; single submissions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import alternate, ratios, seconds, summary

ROOT = Path(__file__).resolve().parents[1]
ONE_BY_ONE = ("ps1", "ps3", "ps4", "ps6", "ps7", "ps8", "ps9", "ps10", "ps11")


def run(students: int = 30, repeats: int = 1, singles: tuple[str, ...] = ONE_BY_ONE) -> dict[str, Any]:
    """Seconds for a class and for single submissions, the grader's start included; all are reference solutions."""
    from tlkit.grading.course import prepare_course

    with _course() as (folder, course):
        workers = os.cpu_count() or 1
        class_folder = _hand_in(folder / "class", course, "ps1", students)
        serial, parallel = folder / "serial", folder / "parallel"
        for out in (serial, parallel):
            prepare_course(course, "ps1", out)
        contestants = {
            "nbgrader as it comes, one process": lambda: _nbgrader(class_folder, serial),
            f"tlkit grade, {workers} workers": lambda: _tlkit_grade(class_folder, course, parallel, "ps1", workers),
        }
        results: dict[str, Any] = {"students": students, **alternate(contestants, repeats)}
        one, other = contestants
        results |= ratios(results, (other, one))
        for assignment in singles:
            single, out = _hand_in(folder / f"one_{assignment}", course, assignment, 1), folder / f"out_{assignment}"
            prepare_course(course, assignment, out)  # the release, which is made once
            took = [seconds(partial(_tlkit_grade, single, course, out, assignment, 1)) for _ in range(3)]
            results[f"one submission of {assignment}"] = summary(took)
        return results


@contextmanager
def _course() -> Iterator[tuple[Path, Path]]:
    """A temporary folder, and in it the instructor's exercises as notebooks."""
    sys.path.insert(0, str(ROOT / "tools"))
    import build_exercises
    import nbformat

    with tempfile.TemporaryDirectory() as name:
        course = Path(name) / "course"
        for source in build_exercises.sources([]):
            path = course / "source" / source.parent.name / f"{source.stem}.ipynb"
            path.parent.mkdir(parents=True)
            nbformat.write(build_exercises.read_source(source), path)
        shutil.copy(ROOT / "exercises" / "nbgrader_config.py", course)
        yield Path(name), course


def _hand_in(folder: Path, course: Path, assignment: str, students: int) -> Path:
    (notebook,) = (course / "source" / assignment).glob("*.ipynb")
    for number in range(students):
        target = folder / f"student{number:02d}" / assignment
        target.mkdir(parents=True)
        shutil.copy(notebook, target)
    return folder


def _tlkit_grade(submissions: Path, course: Path, out: Path, assignment: str, workers: int) -> None:
    command = ["grade", str(submissions), "--assignment", assignment, "--course", str(course), "--out", str(out)]
    command += ["--workers", str(workers), "--again"]
    subprocess.run([sys.executable, "-m", "tlkit", *command], check=True, capture_output=True)


def _nbgrader(submissions: Path, root: Path) -> None:
    shutil.copytree(submissions, root / "submitted", dirs_exist_ok=True)
    (root / "nbgrader_config.py").write_text(
        'c = get_config()\nc.CourseDirectory.course_id = "plain"\n', encoding="utf-8"
    )
    command = [sys.executable, "-m", "nbgrader", "autograde", "ps1", "--create", "--force"]
    bin_first = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    subprocess.run(command, check=True, capture_output=True, cwd=root, env={**os.environ, "PATH": bin_first})
    if len(list((root / "autograded").glob("*/ps1/*.ipynb"))) != len(list(submissions.iterdir())):
        raise RuntimeError("nbgrader must grade every submission, and did not.")
