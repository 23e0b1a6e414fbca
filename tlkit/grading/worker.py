"""A process that autogrades one submission after the other with nbgrader, and what starts, watches and ends it.

The process reads a student a line and answers a line of JSON to each. It holds the tests, and starts a process for each
student's code. When its input ends, because whoever started it has gone, it ends those and itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tlkit.grading.course import Course, course_api, last_error
from tlkit.grading.landlock import landlock_version
from tlkit.grading.meter import Meter, seconds_of
from tlkit.grading.notebook import error_line, errors_of, is_limit, lent_of, marks_of, skip_grammars
from tlkit.grading.sandbox import adopt_orphans, hide_memory, process_tree, temporary_megabytes
from tlkit.words import one_line

__all__ = ["PROCESS_ENDED", "STOPPED", "Worker", "stop_remarks"]

STOPPED = "stopped"  # how the remark on a submission begins that broke a limit
PROCESS_ENDED = "the grading process ended"  # the machine may have had no memory left
_BATCH = 50  # submissions that a worker grades before a fresh one takes over
_LOOK_EVERY = 0.2  # seconds between two looks at a submission's time and memory
_GRACE = 30.0  # seconds that nbgrader has to write down the grades after the kernel was ended


# Outside the process


def stop_remarks(seconds: float, megabytes: float) -> tuple[str, str]:
    """The remarks on a submission that took too long, and on one that took too much memory."""
    limits = (f"{seconds:g} s", f"{megabytes:g} MB")
    too_long, too_much = (f"{STOPPED}: the submission needed more than {limit}." for limit in limits)
    return too_long, too_much


class Worker:
    """A process that runs this file, started when it is asked, and started again when it is gone."""

    def __init__(
        self,
        course: Course,
        seconds: float,
        megabytes: float,
        feedback: bool,
        sandbox: Sequence[str],
        stop: threading.Event,
    ) -> None:
        self._seconds, self._megabytes, self._stop = seconds, megabytes, stop
        self.held_by = "bubblewrap" if sandbox else "Landlock" if landlock_version() else "a fence"
        arguments = [str(course.config), str(course.root), course.assignment, "feedback" if feedback else "none"]
        # -P: where the command was started a student's file may lie, under the name of a module.
        self._command = [sys.executable, "-P", "-m", "tlkit.grading.worker", *arguments, json.dumps(list(sandbox))]
        self._process: subprocess.Popen[str] | None = None
        self._files = ""  # where it makes temporary files: one that is killed removes none
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._graded = 0
        self._started: set[Any] = set()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def ask(self, student: str) -> dict[str, Any] | None:
        """What nbgrader says of a submission; ``stopped`` is the limit that it broke, or empty."""
        if self._graded >= _BATCH:
            self.end()
        process = self._process or self._start()
        self._graded += 1
        with contextlib.suppress(OSError):
            print(json.dumps(student), file=process.stdin, flush=True)
        meter, stopped = Meter(self._seconds), ""
        itself = process_tree(process.pid)[:1]
        spent = seconds_of(lambda: [*itself, *self._started])
        meter.begin(spent)
        before = _megabytes(itself)
        while True:
            with contextlib.suppress(queue.Empty):
                line = self._answers.get(timeout=_LOOK_EVERY)
                self._end_started()  # it is gone by now; what it has left behind may not be
                return {**json.loads(line), "stopped": stopped} if line else self._gone(stopped)
            if self._stop.is_set():
                return None
            self._started.update(process_tree(process.pid)[1:])
            late = meter.left() <= 0
            # What it has been sent it has in its own memory; it needs a moment to give that back.
            more = (_megabytes(itself) - before) / (2 if stopped else 1)
            if late or max(_megabytes(self._started), more) > self._megabytes:
                if stopped:
                    return self._gone(stopped)  # ending the student's process was not enough
                too_long, too_much = stop_remarks(self._seconds, self._megabytes)
                stopped = too_long if late else too_much
                self._end_started()
                meter = Meter(_GRACE)
                meter.begin(spent)

    def _gone(self, stopped: str) -> dict[str, Any]:
        self.end()
        return {"success": False, "log": PROCESS_ENDED, "stopped": stopped}

    def _start(self) -> subprocess.Popen[str]:
        self._files = tempfile.mkdtemp(prefix="tlkit-")
        self._process = process = subprocess.Popen(
            [*self._command, self._files],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": _python_path(), "PYTHONOPTIMIZE": ""},  # tests need their asserts
            start_new_session=os.name == "posix",  # Ctrl-C is for us; we end the workers
        )
        self._answers, self._graded = queue.SimpleQueue(), 0
        threading.Thread(target=_listen, args=(process, self._answers), daemon=True).start()
        return process

    def end(self) -> None:
        """End the process, its kernels, and what these have started."""
        process, self._process = self._process, None
        if process is None:
            return
        self._started.update(process_tree(process.pid)[1:])
        process.kill()  # first: it would see the student's process die, and begin the next
        self._end_started()
        process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        shutil.rmtree(self._files, ignore_errors=True)

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


def _listen(process: subprocess.Popen[str], answers: queue.SimpleQueue[str]) -> None:
    """Hand on each line that the process writes, and an empty one when it has ended."""
    if process.stdout is None:
        raise ValueError("process must have a pipe to read from, got none.")
    with process.stdout:
        for line in process.stdout:
            answers.put(line)
    answers.put("")


def _python_path() -> str:
    """That of this process, and the folder of this package, if Python finds it only because it was started there."""
    ours = str(Path(__file__).resolve().parents[2])
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    installed = Path(ours).name in ("site-packages", "dist-packages")
    return os.pathsep.join(paths if installed or ours in paths else [*paths, ours])


def _megabytes(processes: Iterable[Any]) -> float:
    import psutil

    total, files = 0.0, 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss / 2**20
            files = max(files, temporary_megabytes(process.pid))  # all that are in one sandbox share them
    return total + files


# Inside the process


def grade_one(api: Any, root: Path, assignment: str, student: str, feedback: bool) -> dict[str, Any]:
    """Autograde a submission.

    ``reasons`` holds a line for each test cell that failed, ``lent`` for each the reference's functions that it called;
    ``at_limit`` says whether a cell ran into a limit.
    """
    result = api.autograde(assignment, student, force=True)
    if not result["success"]:
        return {"success": False, "log": last_error(result)}
    reasons, lent, at_limit = {}, {}, False
    for path in (root / "autograded" / student / assignment).glob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            marks, errors = marks_of(cell), errors_of(cell)
            at_limit |= any(map(is_limit, errors))
            if errors and marks.get("grade"):
                reasons[marks["grade_id"]] = error_line(errors[0])
            if marks.get("grade") and lent_of(cell):
                lent[marks["grade_id"]] = lent_of(cell)
    if feedback:
        made = api.generate_feedback(assignment, student, force=True)
        if not made["success"]:
            return {"success": False, "log": f"no feedback: {last_error(made)}"}
    return {"success": True, "reasons": reasons, "lent": lent, "at_limit": at_limit}


def end_started() -> None:
    """End whatever this process has started, those included that were orphaned and adopted, and that start others."""
    import psutil

    for _ in range(100):
        children = psutil.Process().children(recursive=True)
        if not children:
            return
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        psutil.wait_procs(children, timeout=1)


def _receive(students: queue.SimpleQueue[str], files: str) -> None:
    for line in sys.stdin:
        students.put(json.loads(line))
    end_started()
    shutil.rmtree(files, ignore_errors=True)  # whoever started this may have been killed
    os._exit(0)


def main(config_file: str, root: str, assignment: str, feedback: str, sandbox: str, files: str) -> None:
    """Grade the students whose names come in, until no more come; ``files`` is for temporary files, and removed."""
    hide_memory()
    os.environ["TMPDIR"] = tempfile.tempdir = files
    adopt_orphans()
    skip_grammars()
    # Answers go where standard output went; nbgrader writes to nowhere.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)

    students: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(students, files), daemon=True).start()
    api = course_api(Path(config_file), Path(root), sandbox=json.loads(sandbox))
    while True:
        student = students.get()
        try:
            answer = grade_one(api, Path(root), assignment, student, feedback == "feedback")
        except Exception as error:  # nothing that a notebook holds may end the worker
            answer = {"success": False, "log": one_line(f"{type(error).__name__}: {error}", 300)}
        end_started()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
