"""Autograde a class: nbgrader in several processes, with limits on each submission, and able to go on after a crash.

nbgrader grades; this module hands it the submissions, ends what runs too long or takes too much memory, and writes down
a grade and a reason for each. Needs ``pip install 'tlkit[exercises]'``.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import importlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tlkit.exercise_checks import need_extra, one_line
from tlkit.sandbox import sandboxed_process

__all__ = [
    "ISOLATED",
    "NOT_ISOLATED",
    "Course",
    "Graded",
    "Submission",
    "check_run",
    "find_submissions",
    "grade_submissions",
    "prepare_course",
]

NOT_ISOLATED = (
    "Students' code runs here with your rights. What holds it: a fence against the network, other programs, notebooks "
    "and gradebooks, and the limits on time and memory. What does not: it can read and write your other files, and "
    "compiled code passes the fence. Use a user of its own or a container for code that you do not trust."
)
ISOLATED = (
    "Students' code runs in a sandbox (bubblewrap): it sees Python, the folder of grades and what `tlkit fetch` has "
    "fetched, none of your other files and no network. Not isolated: the gradebook and the tests in that folder, which "
    "the fence in the kernel guards."
)

_BATCH = 50  # submissions that a worker grades before a fresh one takes over
_LOOK_EVERY = 0.2  # seconds between two looks at a submission's time and memory
_GRACE = 30.0  # seconds that nbgrader has to write down the grades after the kernel was ended
_STOPPED = "stopped"
_LARGEST_FILE = 50 * 2**20  # bytes
# Beside the notebook these would be imported in place of the modules that the tests use.
_NOT_COPIED = {".py", ".pyc", ".pyd", ".so", ".pth", ".ipynb"}

_DATABASE = threading.Lock()


@dataclass(frozen=True)
class Submission:
    """What one student handed in; without a notebook, ``problem`` says why there is none to grade."""

    student: str
    notebook: Path | None
    files: tuple[Path, ...] = ()
    folder: Path | None = None
    problem: str = ""


@dataclass(frozen=True)
class Graded:
    """How a submission came out; the points themselves are in the gradebook."""

    student: str
    fingerprint: str
    remark: str
    reasons: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Course:
    """A prepared folder, and the tests of its assignment in order."""

    root: Path
    config: Path
    assignment: str
    notebook: str
    tests: tuple[str, ...]

    @property
    def log(self) -> Path:
        """One line for each result; what a later run finds here is not graded again."""
        return self.root / f"graded_{self.assignment}.jsonl"


# What is to be graded


def find_submissions(folder: Path, assignment: str, notebook: str) -> list[Submission]:
    """The submissions in a folder that holds a folder or a notebook for each student.

    ``alice.ipynb``, ``alice_ps1_gradients.ipynb``, ``alice/ps1_gradients.ipynb`` and, as nbgrader collects them,
    ``alice/ps1/ps1_gradients.ipynb`` all are alice's. Links are not followed.

    Args:
        notebook: The name of the assignment's notebook, without ``.ipynb``.

    Raises:
        ValueError: There is no such folder, nobody in it, or a name that cannot be a student's.
    """
    if not folder.is_dir():
        raise ValueError(f"SUBMISSIONS must be an existing folder, got {str(folder)!r}.")
    found: dict[str, Submission] = {}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "_")) or entry.is_symlink():
            continue
        if entry.is_dir():
            submission = _in_folder(entry, assignment, notebook)
        elif entry.suffix == ".ipynb":
            submission = _checked(Submission(entry.stem.removesuffix(f"_{notebook}"), entry))
        else:
            continue
        student = submission.student
        # nbgrader puts the name into paths, patterns and an unquoted CSV file.
        if not re.fullmatch(r"\w[\w .@-]*", student) or student.endswith((" ", ".")):
            raise ValueError(f"a student's name may hold letters, digits, space and . _ @ -, got {student!r}.")
        if student.lower() in found:
            raise ValueError(f"each student must have one submission, got {student!r} twice.")
        found[student.lower()] = submission
    if not found:
        raise ValueError(f"SUBMISSIONS must hold a folder or a notebook for each student, got none in {str(folder)!r}.")
    return list(found.values())


def _in_folder(entry: Path, assignment: str, notebook: str) -> Submission:
    folder = entry / assignment if (entry / assignment).is_dir() else entry
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _leads_away(path, entry)]
    notebooks = [path for path in files if path.suffix == ".ipynb" and path.parent == folder]
    named = [path for path in notebooks if path.stem == notebook]
    if not named and len(notebooks) != 1:
        there = ", ".join(path.name for path in notebooks) or "none"
        problem = f"nothing to grade: {notebook}.ipynb was expected, and the notebooks handed in are: {there}."
        return Submission(entry.name, None, problem=one_line(problem))
    beside = tuple(path for path in files if path.suffix.lower() not in _NOT_COPIED and path.stat().st_size)
    return _checked(Submission(entry.name, (named or notebooks)[0], beside, folder))


def _leads_away(path: Path, entry: Path) -> bool:
    parts = path.relative_to(entry).parts
    return any((entry / Path(*parts[: i + 1])).is_symlink() or parts[i].startswith(".") for i in range(len(parts)))


def _checked(submission: Submission) -> Submission:
    assert submission.notebook is not None
    for path in (submission.notebook, *submission.files):
        if (size := path.stat().st_size) > _LARGEST_FILE:
            problem = f"nothing graded: {path.name} has {size / 2**20:,.0f} MB, {_LARGEST_FILE >> 20} are allowed."
            return Submission(submission.student, None, problem=one_line(problem))
    return submission


def _fingerprint(submission: Submission, course: Course) -> str:
    """Of all that a grade depends on."""
    sum_of = hashlib.sha256(submission.problem.encode())
    source = course.root / "source" / course.assignment / f"{course.notebook}.ipynb"
    paths = [source, course.config, *([submission.notebook] if submission.notebook else []), *submission.files]
    for path in paths:
        content = path.read_bytes()
        sum_of.update(f"{path.name} {len(content)} ".encode())
        sum_of.update(content)
    return sum_of.hexdigest()


def _hand_to_nbgrader(submission: Submission, course: Course) -> None:
    """Copy a submission to where nbgrader looks for it."""
    target = course.root / "submitted" / submission.student / course.assignment
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    if submission.notebook is not None:
        shutil.copyfile(submission.notebook, target / f"{course.notebook}.ipynb")
    for path in submission.files:
        assert submission.folder is not None
        copy = target / path.relative_to(submission.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


# The course


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
    marks = [cell["metadata"].get("nbgrader", {}) for cell in cells]
    tests = tuple(mark["grade_id"] for mark in marks if mark.get("grade"))
    course = Course(out.resolve(), config.resolve(), assignment, source.stem, tests)
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
    from tlkit._grade_worker import course_api, last_error

    with _quiet():
        result = course_api(course.config, course.root).generate_assignment(course.assignment, force=True)
    if not result["success"]:
        raise ValueError(f"nbgrader must be able to release {course.assignment}, and said: {last_error(result)}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SQLAlchemy and nbformat, about nbgrader's own calls
        yield


@contextlib.contextmanager
def _gradebook(course: Course) -> Iterator[Any]:
    from nbgrader.api import Gradebook

    # One thread at a time: warnings are silenced for all of them.
    with _DATABASE, _quiet(), Gradebook(f"sqlite:///{course.root / 'gradebook.db'}", "tlkit") as gradebook:
        yield gradebook


def _give_nothing(course: Course, student: str) -> None:
    """No points for what could not be graded: in the gradebook too, where an older grade may stand."""
    with _gradebook(course) as gradebook:
        gradebook.update_or_create_student(student)
        submission = gradebook.update_or_create_submission(course.assignment, student)
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                grade.auto_score = 0
                grade.needs_manual_grade = False
        gradebook.db.commit()


# Grading


def check_run(submissions: list[Submission], course: Course, *, workers: int, seconds: float, megabytes: float) -> None:
    """Refuse what :func:`grade_submissions` cannot do, before it begins.

    Raises:
        ValueError: A limit is out of range, or the submissions lie where their copies would be written.
    """
    for name, value in (("--workers", workers), ("--seconds-per-notebook", seconds), ("--memory-mb", megabytes)):
        if not value > 0:
            raise ValueError(f"{name} must be above 0, got {value:g}.")
    ours = course.root / "submitted"
    if any(ours in path.resolve().parents for one in submissions for path in (one.notebook, one.folder) if path):
        raise ValueError(f"--out must be another folder: what lies in {str(ours)!r} is written anew from SUBMISSIONS.")


def grade_submissions(
    submissions: list[Submission],
    course: Course,
    *,
    workers: int,
    seconds: float,
    megabytes: float,
    feedback: bool = False,
    again: bool = False,
    sandbox: Sequence[str] = (),
    report: Callable[[Graded, bool], None] = lambda graded, before: None,
) -> list[Graded]:
    """Grade what is not graded yet, write ``grades_psN.csv`` and ``checks_psN.csv``, and return all results in order.

    Args:
        workers: Processes, each with a kernel beside it. At least 1.
        seconds: Limit on each submission. When it has run out the kernel is ended, and what was tested counts.
        megabytes: Limit on the memory of a worker and its kernel together, looked at five times a second.
        feedback: Also write ``feedback/STUDENT/psN/*.html``.
        again: Also grade what is graded already. What was stopped by another limit than today's always is.
        sandbox: The beginning of the workers' command line, as :func:`tlkit.sandbox.bubblewrap` makes it.
        report: Called after each submission, with whether it was graded in an earlier run.

    Raises:
        ValueError: As :func:`check_run` says, or another process is grading into this folder.
    """
    check_run(submissions, course, workers=workers, seconds=seconds, megabytes=megabytes)
    with _alone(course):
        before = _graded_before(course)
        if course.log.is_file() and not course.log.read_bytes().endswith(b"\n"):
            with course.log.open("a", encoding="utf-8") as log:
                log.write("\n")  # the end of a line that a crash has cut short
        marks = {one.student: _fingerprint(one, course) for one in submissions}
        stopped = {_stopped(f"{seconds:g} s"), _stopped(f"{megabytes:g} MB")}
        done = {
            name: row
            for name, row in before.items()
            if marks.get(name) == row.fingerprint and (not row.remark.startswith(_STOPPED) or row.remark in stopped)
        }
        if again:
            done = {}
        if feedback:
            pages = course.root / "feedback"
            done = {
                name: row for name, row in done.items() if row.remark or (pages / name / course.assignment).is_dir()
            }
        for row in done.values():
            report(row, True)
        todo: queue.SimpleQueue[Submission] = queue.SimpleQueue()
        waiting = [one for one in submissions if one.student not in done]
        for one in waiting:
            todo.put(one)
        stop, writing = threading.Event(), threading.Lock()

        def note(graded: Graded) -> None:
            with writing, course.log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(asdict(graded)) + "\n")
                done[graded.student] = graded
                report(graded, False)

        def work() -> None:
            with _Worker(course, seconds, megabytes, feedback, sandbox, stop) as worker:
                while not stop.is_set():
                    try:
                        one = todo.get_nowait()
                    except queue.Empty:
                        return
                    graded = _grade(worker, one, marks[one.student], course)
                    if graded is not None:
                        note(graded)

        with ThreadPoolExecutor(min(workers, max(1, len(waiting)))) as pool:
            futures = [pool.submit(work) for _ in range(min(workers, len(waiting)))]
            try:
                importlib.import_module("nbgrader.api")  # takes seconds: now, and not when all have been graded
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                stop.set()
        for future in futures:
            future.result()
        rows = [done[one.student] for one in submissions]
        _write_grades(course)
        _write_checks(course, rows)
        return rows


@contextlib.contextmanager
def _alone(course: Course) -> Iterator[None]:
    """One process grades into a folder at a time: two would hand each other's copies to nbgrader."""
    from filelock import FileLock, Timeout

    lock = FileLock(course.root / "grading.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"--out must be free, got {str(course.root)!r}: another tlkit grade is writing there."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _graded_before(course: Course) -> dict[str, Graded]:
    """The last result of each student; a line that a crash has cut short says nothing."""
    rows: dict[str, Graded] = {}
    if course.log.is_file():
        for line in course.log.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError, TypeError, KeyError):
                row = Graded(**json.loads(line))
                rows[row.student] = row
    return rows


def _grade(worker: _Worker, submission: Submission, mark: str, course: Course) -> Graded | None:
    """Grade one submission, at the second try if need be; ``None`` when the whole run is stopped."""
    start = time.monotonic()
    _hand_to_nbgrader(submission, course)
    answer: dict[str, Any] = {"success": False, "log": submission.problem}
    for _ in range(0 if submission.problem else 2):
        asked = worker.ask(submission.student)
        if asked is None:
            return None
        answer = asked
        if answer["success"] or answer["stopped"]:
            break
        worker.end()  # not by a limit: a fresh process may fare better
    remark = answer.get("stopped", "")
    if not answer["success"]:
        _give_nothing(course, submission.student)
        remark = submission.problem or remark or f"nbgrader could not grade it: {answer['log']}"
    reasons = answer.get("reasons", {})
    if answer.get("stopped"):
        gone = "the kernel ended, or answered no more"
        reasons = {name: answer["stopped"] if words.startswith(gone) else words for name, words in reasons.items()}
    return Graded(submission.student, mark, remark, reasons, round(time.monotonic() - start, 2))


class _Worker:
    """A process of ``tlkit._grade_worker``, started when it is asked, and started again when it is gone."""

    def __init__(
        self,
        course: Course,
        seconds: float,
        megabytes: float,
        feedback: bool,
        sandbox: Sequence[str],
        stop: threading.Event,
    ) -> None:
        self._course, self._seconds, self._megabytes = course, seconds, megabytes
        self._feedback, self._sandbox, self._stop = feedback, sandbox, stop
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._graded = 0
        self._started: set[Any] = set()

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def ask(self, student: str) -> dict[str, Any] | None:
        """What nbgrader says of a submission; ``stopped`` is the limit that it broke, or empty."""
        if self._graded >= _BATCH:
            self.end()
        process = self._process or self._start()
        self._graded += 1
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.write(json.dumps(student) + "\n")
            process.stdin.flush()
        deadline, stopped = time.monotonic() + self._seconds, ""
        while True:
            with contextlib.suppress(queue.Empty):
                line = self._answers.get(timeout=_LOOK_EVERY)
                self._end_started()  # a kernel is gone by now; what it has left behind is not
                return {**json.loads(line), "stopped": stopped} if line else self._gone(stopped)
            if self._stop.is_set():
                return None
            self._started.update(_children(process.pid))
            late = time.monotonic() > deadline
            worker = sandboxed_process(process.pid)
            if late or _megabytes([worker, *self._started] if worker else []) > self._megabytes:
                if stopped:
                    return self._gone(stopped)  # ending the kernel was not enough
                stopped = _stopped(f"{self._seconds:g} s" if late else f"{self._megabytes:g} MB")
                self._end_started()
                deadline = time.monotonic() + _GRACE

    def _gone(self, stopped: str) -> dict[str, Any]:
        self.end()
        return {"success": False, "log": "the grading process ended", "stopped": stopped}

    def _start(self) -> subprocess.Popen[str]:
        course = self._course
        arguments = [str(course.config), str(course.root), course.assignment, "feedback" if self._feedback else "none"]
        self._process = process = subprocess.Popen(
            [*self._sandbox, sys.executable, "-m", "tlkit._grade_worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            start_new_session=os.name == "posix",  # Ctrl-C is for us; we end the workers
        )
        answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._answers, self._graded = answers, 0

        def listen() -> None:
            assert process.stdout is not None
            with process.stdout:
                for line in process.stdout:
                    answers.put(line)
            answers.put("")

        threading.Thread(target=listen, daemon=True).start()
        return process

    def end(self) -> None:
        """End the process, its kernels, and what these have started."""
        process, self._process = self._process, None
        if process is None:
            return
        self._started.update(_children(process.pid))
        process.kill()  # first: it would see its kernel die, and begin the next
        self._end_started()
        process.wait()
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()

    def _end_started(self) -> None:
        """End what was seen running below the process, also what has left it since."""
        import psutil

        for one in self._started:
            with contextlib.suppress(psutil.Error, OSError):
                if one.is_running():  # and no other process has its number by now
                    if os.name == "posix" and os.getpgid(one.pid) == one.pid:
                        os.killpg(one.pid, signal.SIGKILL)
                    one.kill()
        self._started.clear()


def _stopped(limit: str) -> str:
    return f"{_STOPPED}: the submission needed more than {limit}."


def _children(pid: int) -> list[Any]:
    import psutil

    worker = sandboxed_process(pid)
    with contextlib.suppress(psutil.Error):
        return list(worker.children(recursive=True)) if worker is not None else []
    return []


def _megabytes(processes: Iterable[Any]) -> float:
    import psutil

    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total / 2**20


# What came out


def _write_grades(course: Course) -> None:
    from nbgrader.plugins import CsvExportPlugin

    plugin = CsvExportPlugin()
    plugin.to, plugin.assignment = str(course.root / f"grades_{course.assignment}.csv"), [course.assignment]
    with _gradebook(course) as gradebook:
        plugin.export(gradebook)


def _write_checks(course: Course, rows: list[Graded]) -> None:
    path = course.root / f"checks_{course.assignment}.csv"
    with path.open("w", encoding="utf-8", newline="") as file, _gradebook(course) as gradebook:
        table = csv.writer(file)
        table.writerow(["student", "assignment", "check", "points", "max_points", "reason"])
        for row in rows:
            submission = gradebook.find_submission(course.assignment, row.student)
            grades = {grade.name: grade for notebook in submission.notebooks for grade in notebook.grades}
            for test in (test for test in course.tests if test in grades):
                grade = grades[test]
                lost = grade.score < grade.max_score
                reason = row.reasons.get(test) or row.remark or "no reason was noted." if lost else ""
                if grade.needs_manual_grade:
                    reason = "waits for a person to grade it."
                table.writerow(
                    [row.student, course.assignment, test, f"{grade.score:g}", f"{grade.max_score:g}", _plain(reason)]
                )


def _plain(text: str) -> str:
    """Text that a spreadsheet does not take for a formula: students' code has a say in it."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
