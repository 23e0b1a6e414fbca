"""Autograde a class: nbgrader in several processes, with limits on each submission, and able to go on after a crash.

nbgrader grades, in the folder that :func:`tlkit.grading.course.prepare_course` makes; this module hands it the
submissions, ends what runs too long or takes too much memory, and writes down a grade and a reason for each. Needs
``pip install 'tlkit[exercises]'``.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import hashlib
import importlib
import json
import os
import queue
import re
import shutil
import threading
import time
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tlkit.grading.course import Course, open_gradebook
from tlkit.grading.nodes import OnNode, Sent, course_files, take
from tlkit.grading.notebook import KERNEL_GONE, reference_missing, touched_tests
from tlkit.grading.overview import class_overview, read_checks
from tlkit.grading.worker import PROCESS_ENDED, STOPPED, Worker, stop_remarks
from tlkit.scale import check_engine, over_nodes
from tlkit.words import one_line, some_of

__all__ = [
    "HALF_ISOLATED",
    "ISOLATED",
    "NOT_ISOLATED",
    "Graded",
    "Submission",
    "check_folders",
    "check_run",
    "find_submissions",
    "grade_submissions",
]

NOT_ISOLATED = (
    "Students' code runs in processes of its own, apart from tests and points, but with your rights. What holds it: a "
    "fence against the network, other programs, notebooks and gradebooks, and the limits on time and memory. What does "
    "not: it can read and write your files, the gradebook among them, and compiled code passes the fence. Use Linux "
    "with bubblewrap, a user of its own or a container for code that you do not trust."
)
HALF_ISOLATED = (
    "Students' code runs in processes of its own, apart from tests and points; there is no bubblewrap for a sandbox. "
    "What holds it: Linux's Landlock, so that it reads Python and its own files, and writes only the latter; a fence "
    "against other programs; the limits on time and memory. What does not: it sees which other programs run."
)
ISOLATED = (
    "Students' code runs in a sandbox (bubblewrap), one per submission: it sees Python, the files handed in and what "
    "`tlkit fetch` has fetched; no tests, no gradebook, none of your other files, no network."
)

# Of checks_psN.csv. "state" is passes, partly, fails, not tested (it was stopped before, or cannot be graded) or waits.
COLUMNS = (
    "student", "assignment", "part", "check", "state", "points", "max_points", "reason", "tested_with", "tests_touched",
    "held_by",
)  # fmt: skip

_LARGEST_FILE = 50 * 2**20  # bytes
# Beside the notebook these would be imported in place of the modules that the tests use.
_NOT_COPIED = {".py", ".pyc", ".pyd", ".so", ".pth", ".ipynb"}


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
    """How a submission came out; the points themselves are in the gradebook.

    ``tests_touched`` says in words which test cells were changed, deleted or copied. It costs no points, since the
    tests' own text is run, but an instructor should look. ``held_by`` says what held the student's process:
    ``"bubblewrap"``, ``"Landlock"`` or ``"a fence"``. ``lent`` names, for each check, the reference's functions that it
    called in place of the student's, which had failed before. ``at_limit``: a limit on time or memory was in its way.
    """

    student: str
    fingerprint: str
    remark: str
    reasons: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    tests_touched: str = ""
    held_by: str = ""
    lent: dict[str, list[str]] = field(default_factory=dict)
    at_limit: bool = False


# What is to be graded


def find_submissions(folder: Path, assignment: str, notebook: str) -> list[Submission]:
    """The submissions in a folder that holds a folder or a notebook for each student.

    ``alice.ipynb``, ``alice_ps1_gradients.ipynb``, ``alice/ps1_gradients.ipynb`` and, as nbgrader collects them,
    ``alice/ps1/ps1_gradients.ipynb`` all are alice's. Links are not followed. What cannot be read is a submission with
    a ``problem``, so that one student's file stops nobody else. Names are taken in Unicode's composed form.

    Args:
        notebook: The name of the assignment's notebook, without ``.ipynb``.

    Raises:
        ValueError: There is no such folder, nobody in it, or a name that cannot be a student's.
    """
    if not folder.is_dir():
        raise ValueError(f"SUBMISSIONS must be an existing folder, got {str(folder)!r}.")
    found: dict[str, Submission] = {}
    for entry in sorted(folder.iterdir()):
        is_notebook = entry.suffix == ".ipynb"
        if entry.name.startswith((".", "_")) or not (is_notebook or entry.is_dir()):
            continue
        # A Mac writes é as e and an accent, which nothing else takes for the same name.
        written = entry.stem.removesuffix(f"_{notebook}") if is_notebook else entry.name
        student = unicodedata.normalize("NFC", written)
        if entry.is_symlink():
            problem = one_line(f"nothing graded: {entry.name} is a link, and links are not followed.")
            submission = Submission(student, None, problem=problem)
        elif entry.is_dir():
            submission = _in_folder(entry, student, assignment, notebook)
        else:
            submission = _checked(Submission(student, entry))
        # nbgrader puts the name into paths, patterns and an unquoted CSV file.
        if not re.fullmatch(r"\w[\w .@-]*", student) or student.endswith((" ", ".")):
            raise ValueError(f"a student's name may hold letters, digits, space and . _ @ -, got {student!r}.")
        if student.lower() in found:
            raise ValueError(f"each student must have one submission, got {student!r} twice.")
        found[student.lower()] = submission
    if not found:
        raise ValueError(f"SUBMISSIONS must hold a folder or a notebook for each student, got none in {str(folder)!r}.")
    return list(found.values())


def _in_folder(entry: Path, student: str, assignment: str, notebook: str) -> Submission:
    if not os.access(entry, os.R_OK | os.X_OK):
        return Submission(student, None, problem=f"nothing graded: the folder {entry.name} cannot be read.")
    folder = entry / assignment if (entry / assignment).is_dir() else entry
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _leads_away(path, entry)]
    notebooks = [path for path in files if path.suffix == ".ipynb" and path.parent == folder]
    named = [path for path in notebooks if path.stem == notebook]
    if not named and len(notebooks) != 1:
        there = ", ".join(path.name for path in notebooks) or "none"
        problem = f"nothing to grade: {notebook}.ipynb was expected, and the notebooks handed in are: {there}."
        return Submission(student, None, problem=one_line(problem))
    beside = tuple(path for path in files if path.suffix.lower() not in _NOT_COPIED and path.stat().st_size)
    return _checked(Submission(student, (named or notebooks)[0], beside, folder))


def _leads_away(path: Path, entry: Path) -> bool:
    parts = path.relative_to(entry).parts
    return any((entry / Path(*parts[: i + 1])).is_symlink() or parts[i].startswith(".") for i in range(len(parts)))


def _checked(submission: Submission) -> Submission:
    for path in filter(None, (submission.notebook, *submission.files)):
        if problem := _unfit(path):
            return Submission(submission.student, None, problem=one_line(f"nothing graded: {path.name} {problem}."))
    return submission


def _unfit(path: Path) -> str:
    """Why a file cannot be graded, or nothing."""
    if not path.is_file():  # a pipe would be waited for
        return "is no regular file"
    if (size := path.stat().st_size) > _LARGEST_FILE:
        return f"has {size / 2**20:,.0f} MB, {_LARGEST_FILE >> 20} are allowed"
    return "" if os.access(path, os.R_OK) else "cannot be read"


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
        copy = target / path.relative_to(submission.folder or path.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _give_nothing(course: Course, student: str) -> None:
    """No points for what could not be graded: in the gradebook too, where an older grade may stand."""
    with open_gradebook(course) as gradebook:
        gradebook.update_or_create_student(student)
        submission = gradebook.update_or_create_submission(course.assignment, student)
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                grade.auto_score = 0
                grade.needs_manual_grade = False
        gradebook.db.commit()


# Grading


def check_folders(submissions: Path, out: Path) -> None:
    """Refuse to write grades among the submissions, where the next run would take them for a student's.

    Raises:
        ValueError: ``out`` lies in ``submissions``.
    """
    if submissions.resolve() in (out.resolve(), *out.resolve().parents):
        raise ValueError(f"--out must be a folder outside SUBMISSIONS, got {str(out)!r}, which lies in it.")


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
    engine: str = "local",
    go_on: bool = False,
    report: Callable[[Graded, bool], None] = lambda graded, before: None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Graded]:
    """Grade what is not graded yet, write both tables and the overview, and return all results in order.

    The tables are ``grades_psN.csv`` and ``checks_psN.csv``, the overview ``overview_psN.html``. The reference comes
    first: where it loses a check, machine or assignment is broken, and no student must pay for that. What ran into a
    limit is graded once more, alone, when all others are done, and only that counts.

    Args:
        workers: Processes, each with a kernel beside it. At least 1.
        seconds: Limit on each submission, of the processor's time (``tlkit.grading.meter.Meter``). When it has run
            out the kernel is ended, and what was tested counts.
        megabytes: Limit on the memory of a worker and its kernel together, looked at five times a second.
        feedback: Also write ``feedback/STUDENT/psN/*.html``.
        again: Also grade what is graded already. What was stopped by another limit than today's always is.
        sandbox: The beginning of the workers' command line, as :func:`tlkit.grading.sandbox.bubblewrap` makes it.
        engine: ``"local"``, or ``"ray"``: the workers are on the nodes of a cluster (:mod:`tlkit.scale`), each of which
            makes its own sandbox if there is one here. This process alone writes the gradebook and the tables.
        go_on: Grade the class although the reference loses a check.
        report: Called after each submission, with whether it was graded in an earlier run.
        say: Called with a line on the whole class.

    Raises:
        ValueError: As :func:`check_run` says, another process is grading into this folder, Ray is asked for and not
            installed, or the reference loses a check.
    """
    check_engine(engine)
    check_run(submissions, course, workers=workers, seconds=seconds, megabytes=megabytes)
    with _alone(course):
        _mend_log(course)
        fingerprints = {one.student: _fingerprint(one, course) for one in submissions}
        done = {} if again else _still_right(course, fingerprints, stop_remarks(seconds, megabytes), feedback)
        for row in done.values():
            report(row, True)
        waiting = [one for one in submissions if one.student not in done]
        node = {"seconds": seconds, "megabytes": megabytes, "feedback": feedback, "sandbox": bool(sandbox)}
        if waiting:
            _grade_reference(course, engine, node, go_on, say)
        for alone in (False, True):
            run = _Run(course, fingerprints, done, alone, report)
            if engine == "ray":
                _work_on_nodes(run, waiting, 1 if alone else workers, node)
            else:
                some = range(min(1 if alone else workers, len(waiting)))
                _work_all(run, waiting, [Worker(course, seconds, megabytes, feedback, sandbox, run.stop) for _ in some])
            waiting = [one for one in submissions if one.student not in done]
            if waiting:
                names = some_of([one.student for one in waiting], 5)
                say(f"Grading once more, alone, after a limit of time or memory: {names}.")
        rows = [done[one.student] for one in submissions]
        _write_grades(course)
        _write_checks(course, rows)
        _write_overview(course)
        return rows


@dataclass(frozen=True)
class _Run:
    """What the threads of a run share: what waits for them, and what has been graded, now or in earlier runs.

    Unless ``alone``, what ran into a limit is not done.
    """

    course: Course
    fingerprints: dict[str, str]
    done: dict[str, Graded]
    alone: bool
    report: Callable[[Graded, bool], None]
    todo: queue.SimpleQueue[Submission] = field(default_factory=queue.SimpleQueue)
    stop: threading.Event = field(default_factory=threading.Event)
    writing: threading.Lock = field(default_factory=threading.Lock)


def _grade_reference(
    course: Course, engine: str, node: dict[str, Any], go_on: bool, say: Callable[[str], None]
) -> None:
    """Grade the instructor's own notebook as a student's, in a folder of its own, and refuse to go on if it fails."""
    source = course.root / "source" / course.assignment / f"{course.notebook}.ipynb"
    if missing := reference_missing(source):
        say(f"No reference was graded first: of source/{course.assignment}/{source.name}, {missing}")
        return
    sent = Sent("reference", "", "", {source.name: source.read_bytes()})
    make = functools.partial(OnNode, _grade_sent, course_files(course), course, **{**node, "feedback": False})
    if engine == "ray":
        ((_, brought),) = over_nodes(make, (), [sent], workers=1)
    else:
        place = make()
        try:
            brought = place(sent)
        finally:
            place.end()
    graded: Graded = brought.graded
    if not (graded.remark or graded.reasons):
        say(f"The reference passes all checks ({graded.seconds:.1f} s).")
        return
    lost = some_of(list(graded.reasons), 3) or "all checks"
    why = graded.remark or next(iter(graded.reasons.values()))
    limit = " It ran into a limit of time or memory." if graded.at_limit else ""
    words = f"the reference of {course.assignment} must pass all checks before students are graded, got {lost} lost"
    words = one_line(f"{words}: {why.rstrip('.')}.{limit}", 600)
    if not go_on:
        raise ValueError(f"{words} No student was graded; --go-on grades all the same.")
    say(f"{words[0].upper()}{words[1:]} Students are graded all the same.")


def _work_all(run: _Run, waiting: list[Submission], workers: list[Worker]) -> None:
    """Grade until nothing waits any more; when one thread fails, or at Ctrl-C, all stop."""
    for one in waiting:
        run.todo.put(one)
    with ThreadPoolExecutor(max(1, len(workers))) as pool:
        futures = [pool.submit(_work, run, worker) for worker in workers]
        try:
            importlib.import_module("nbgrader.api")  # takes seconds: now, and not when all have been graded
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            run.stop.set()
    for future in futures:
        future.result()


def _work(run: _Run, worker: Worker) -> None:
    with worker:
        while not run.stop.is_set():
            try:
                one = run.todo.get_nowait()
            except queue.Empty:
                return
            graded = _grade(worker, one, run.fingerprints[one.student], run.course)
            if graded is not None:
                _note(run, graded)


def _work_on_nodes(run: _Run, waiting: list[Submission], workers: int, options: dict[str, Any]) -> None:
    """Grade on the nodes of a cluster; here, one after the other, what comes back is written down."""
    if not waiting:
        return
    make = functools.partial(OnNode, _grade_sent, course_files(run.course), run.course, **options)
    tasks = (_sent(one, run.fingerprints[one.student], run.course) for one in waiting)
    for number, brought in over_nodes(make, (), tasks, workers=workers):
        _hand_to_nbgrader(waiting[number], run.course)
        take(run.course, waiting[number].student, brought)
        _note(run, brought.graded)


def _sent(one: Submission, fingerprint: str, course: Course) -> Sent:
    files = {}
    if one.notebook is not None:
        files = {path.relative_to(one.folder or path.parent).as_posix(): path.read_bytes() for path in one.files}
        files[f"{course.notebook}.ipynb"] = one.notebook.read_bytes()
    return Sent(one.student, fingerprint, one.problem, files)


def _grade_sent(worker: Worker, sent: Sent, course: Course, folder: Path) -> Graded | None:
    """Grade on a node what was sent there and written into ``folder``."""
    notebook = folder / f"{course.notebook}.ipynb" if sent.files else None
    files = tuple(folder / name for name in sent.files if folder / name != notebook)
    return _grade(worker, Submission(sent.student, notebook, files, folder, sent.problem), sent.fingerprint, course)


def _note(run: _Run, graded: Graded) -> None:
    if graded.at_limit and not run.alone:
        return
    with run.writing, run.course.log.open("a", encoding="utf-8") as log:
        log.write(json.dumps(asdict(graded)) + "\n")
        run.done[graded.student] = graded
        run.report(graded, False)


def _alone(course: Course) -> Any:
    """Held, a lock: two processes that grade into a folder would hand each other's copies to nbgrader."""
    from filelock import FileLock, Timeout

    try:
        return FileLock(course.root / "grading.lock").acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"--out must be free, got {str(course.root)!r}: another tlkit grade is writing there."
        ) from None


def _mend_log(course: Course) -> None:
    """End the line that a crash has cut short."""
    if course.log.is_file() and not course.log.read_bytes().endswith(b"\n"):
        with course.log.open("a", encoding="utf-8") as log:
            log.write("\n")


def _still_right(
    course: Course, fingerprints: dict[str, str], stopped: tuple[str, ...], feedback: bool
) -> dict[str, Graded]:
    """The earlier results of the same files; not those of another limit than today's, nor without wanted feedback."""
    rows = [row for name, row in _graded_before(course).items() if fingerprints.get(name) == row.fingerprint]
    rows = [row for row in rows if not row.remark.startswith(STOPPED) or row.remark in stopped]
    if feedback:
        pages = course.root / "feedback"
        rows = [row for row in rows if row.remark or (pages / row.student / course.assignment).is_dir()]
    return {row.student: row for row in rows}


def _graded_before(course: Course) -> dict[str, Graded]:
    """The last result of each student; a line that a crash has cut short says nothing."""
    rows: dict[str, Graded] = {}
    if course.log.is_file():
        for line in course.log.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError, TypeError, KeyError):
                row = Graded(**json.loads(line))
                rows[row.student] = row
    return rows


def _grade(worker: Worker, submission: Submission, fingerprint: str, course: Course) -> Graded | None:
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
        reasons = {name: remark if words.startswith(KERNEL_GONE) else words for name, words in reasons.items()}
    seconds = round(time.monotonic() - start, 2)
    touched, lent = _touched(submission, course), answer.get("lent", {})
    limit = bool(answer.get("stopped") or answer.get("at_limit") or answer.get("log") == PROCESS_ENDED)
    return Graded(submission.student, fingerprint, remark, reasons, seconds, touched, worker.held_by, lent, limit)


def _touched(submission: Submission, course: Course) -> str:
    if submission.notebook is None:
        return ""
    release = course.root / "release" / course.assignment / f"{course.notebook}.ipynb"
    try:
        return touched_tests(submission.notebook, release)
    except Exception as error:  # nothing that a notebook holds may end the run
        return one_line(f"test cells cannot be compared: {type(error).__name__}: {error}", 300)


# What came out


def _write_grades(course: Course) -> None:
    from nbgrader.plugins import CsvExportPlugin

    path = course.root / f"grades_{course.assignment}.csv"
    plugin = CsvExportPlugin()
    plugin.to, plugin.assignment = str(path), [course.assignment]
    with open_gradebook(course) as gradebook:
        plugin.export(gradebook)
    # nbgrader's order is that in which submissions were graded, which differs from run to run.
    first, *rows = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([first, *sorted(rows)]))


def _write_checks(course: Course, rows: list[Graded]) -> None:
    path = course.root / f"checks_{course.assignment}.csv"
    with path.open("w", encoding="utf-8", newline="") as file, open_gradebook(course) as gradebook:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for row in rows:
            submission = gradebook.find_submission(course.assignment, row.student)
            grades = {grade.name: grade for notebook in submission.notebooks for grade in notebook.grades}
            for test in (test for test in course.tests if test in grades):
                table.writerow(_check_row(course, row, test, grades[test]))


def _check_row(course: Course, row: Graded, test: str, grade: Any) -> dict[str, str]:
    """How one check came out, from nbgrader's grade."""
    reason, state = row.reasons.get(test) or row.remark or "no reason was noted.", "fails"
    if grade.needs_manual_grade:
        reason, state = "waits for a person to grade it.", "waits"
    elif grade.score >= grade.max_score:
        reason, state = "", "passes"
    elif grade.score > 0:
        state = "partly"
    elif reason == row.remark or reason.startswith(KERNEL_GONE):
        state = "not tested"
    return {
        "student": row.student,
        "assignment": course.assignment,
        "part": course.parts.get(test, ""),
        "check": test,
        "state": state,
        "points": f"{grade.score:g}",
        "max_points": f"{grade.max_score:g}",
        "reason": _plain(reason),
        "tested_with": " ".join(row.lent.get(test, [])),
        "tests_touched": _plain(row.tests_touched),
        "held_by": row.held_by,
    }


def _write_overview(course: Course) -> None:
    checks = read_checks(course.root / f"checks_{course.assignment}.csv")
    name = f"{course.notebook}.html"
    pages = {student: Path("feedback", student, course.assignment, name) for student in checks["student"]}
    links = {student: quote(page.as_posix()) for student, page in pages.items() if (course.root / page).is_file()}
    page = class_overview(checks, links)
    (course.root / f"overview_{course.assignment}.html").write_text(page, encoding="utf-8")


def _plain(text: str) -> str:
    """Text that a spreadsheet does not take for a formula: students' code has a say in it."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
