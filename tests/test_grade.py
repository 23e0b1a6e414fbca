"""The commands for exercises: `tlkit check-exercise` for students, `tlkit grade` for who grades a class."""

import asyncio
import contextlib
import copy
import csv
import dataclasses
import html
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from threading import Thread
from urllib.parse import unquote

import pytest
from helpers import ROOT, raises_one_line, run_python
from marks import in_bank

from tlkit import cli
from tlkit.grading import notebook as checking
from tlkit.grading import submissions
from tlkit.grading.course import Course, prepare_course
from tlkit.grading.landlock import landlock_version
from tlkit.grading.notebook import check_exercise, error_line, lent_words, mend_lost_wakeups, touched_tests
from tlkit.grading.overview import read_checks
from tlkit.grading.sandbox import bubblewrap, world_of_its_own
from tlkit.grading.submissions import find_submissions
from tlkit.text.fetching import data_folder as text_folder

sys.path.insert(0, str(ROOT / "tests" / "exercises"))

pytest.importorskip("nbgrader", reason="needs tlkit[exercises]")
import build_exercises
import jupyter_client.channels
import nbformat
import psutil
import runner
from traitlets.config.loader import PyFileConfigLoader

NOTEBOOK = "ps1_gradients"


@pytest.fixture(scope="module")
def instructor():
    return runner.instructor_notebook("ps1")


@pytest.fixture(scope="module")
def course(tmp_path_factory, instructor) -> Path:
    """An instructor's folder as `make exercises` leaves it, with ps1 alone."""
    return runner.course_folder(tmp_path_factory.mktemp("course"), {"ps1": instructor})


@pytest.fixture
def out(course, tmp_path) -> Path:
    """A folder for grades in which the assignment is released already, which is half of what a short run costs."""
    return Path(shutil.copytree(course, tmp_path / "out"))


@pytest.fixture(scope="module")
def hand_in(course, instructor) -> Callable[..., None]:
    """Writes the release with all solutions, some of them replaced, and some cells deleted."""
    code = (cell for cell in instructor.cells if cell.metadata.get("nbgrader", {}).get("solution"))
    solutions = {runner.name_of(cell): cell.source for cell in code}

    def write(path: Path, cells=None, *, without=()) -> None:
        notebook = nbformat.read(course / "release" / "ps1" / f"{NOTEBOOK}.ipynb", as_version=4)
        notebook.cells = [cell for cell in notebook.cells if runner.name_of(cell) not in without]
        for cell in notebook.cells:
            cell.source = {**solutions, **(cells or {})}.get(runner.name_of(cell), cell.source)
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)

    return write


def answer(name: str) -> runner.Answer:
    return runner.read_answer(runner.BANKS / "ps1" / f"{name}.py")


def tlkit(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_python("-m", "tlkit", *map(str, arguments))


@pytest.fixture
def here(monkeypatch, capsys) -> Callable[..., tuple[int, str]]:
    """Runs the command in this process, which has all imports behind it: its code, and what it writes."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["tlkit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        assert err == ""
        return stop.value.code, out

    return run


# What a student sees


@pytest.mark.slow
def test_a_student_sees_what_passes_and_what_fails(hand_in, here, tmp_path) -> None:
    hand_in(tmp_path / "right.ipynb", answer("right/float32").cells)
    run = tlkit("check-exercise", tmp_path / "right.ipynb")
    assert (run.returncode, run.stderr) == (0, "")
    lines = run.stdout.splitlines()
    assert all(line.startswith("passes ") for line in lines[:-1])
    assert lines[-1].startswith(f"{len(lines) - 1} of {len(lines) - 1} visible checks pass.")

    hand_in(tmp_path / "wrong.ipynb", answer("wrong/head_pair_swapped").cells)
    before = (tmp_path / "wrong.ipynb").read_bytes()
    code, out = here("check-exercise", tmp_path / "wrong.ipynb")
    assert code == 1
    fails = [line.split()[1].rstrip(":") for line in out.splitlines() if line.startswith("fails")]
    assert fails
    assert set(fails) <= set(answer("wrong/head_pair_swapped").loses)
    assert all("Reread" in line for line in out.splitlines() if line.startswith("fails"))
    assert (tmp_path / "wrong.ipynb").read_bytes() == before


@pytest.mark.slow
def test_a_student_is_told_which_failure_comes_from_another(hand_in, tmp_path) -> None:
    wrong = "import math\n\n\ndef softmax(Z):\n    e = np.exp(Z)\n    return e / e.sum() / 2"
    loss = "def cross_entropy(Z, Y):\n    return math.pi"  # wrong in its own right
    hand_in(tmp_path / "wrong.ipynb", {"softmax": wrong, "cross_entropy": loss})
    reasons = {check.name: check.reason for check in check_exercise(tmp_path / "wrong.ipynb").checks}
    cause = " It uses softmax, which failed above: mend that first."
    assert reasons["logit_gradient_examples"].startswith("logit_gradient must be")
    assert reasons["logit_gradient_examples"].endswith(cause)
    assert reasons["head_gradients_any_head"].endswith(cause.replace("softmax", "logit_gradient"))
    assert "mend that first" not in reasons["softmax_examples"] + reasons["cross_entropy_examples"]


@pytest.mark.slow
def test_a_student_sees_what_is_missing(hand_in, here, course, tmp_path, monkeypatch) -> None:
    release = course / "release" / "ps1" / f"{NOTEBOOK}.ipynb"
    code, out = here("check-exercise", release)
    assert code == 1
    for name in ("softmax", "adam_step"):
        assert f"missing  {name} is not written yet: it still raises NotImplementedError." in out

    path = tmp_path / "tampered.ipynb"
    hand_in(path, {"adam_step_examples": "pass"}, without=["sgd_step_any_gradient"])
    run_cells, ran = checking._execute, []

    def run_once(content, *limits):
        """The release decides what is compared, and not what is run."""
        if not ran:
            ran.append((run_cells(content, *limits), [cell.get("outputs") for cell in content.cells]))
        stopped, outputs = ran[0]
        for cell, shown in zip(content.cells, outputs, strict=True):
            cell.update({} if shown is None else {"outputs": shown})
        return stopped

    monkeypatch.setattr(checking, "_execute", run_once)
    report = check_exercise(path, seconds=120)
    assert not report.passes
    assert report.missing == ("test cells for 5 of the 100 points were deleted.",)
    assert [check.name for check in report.checks if check.state == "changed"] == ["adam_step_examples"]
    named = check_exercise(path, release=release, seconds=120)
    assert named.missing == ("the test cell sgd_step_any_gradient was deleted.",)
    assert named.checks == report.checks


@pytest.fixture(scope="module")
def ends_its_kernel(hand_in, tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A notebook that does, and the states of its checks."""
    path = tmp_path_factory.mktemp("ends") / "ends.ipynb"
    hand_in(path, answer("hostile/ends_the_process").cells)
    return path, states_of(path)


def states_of(path: Path) -> dict[str, str]:
    return {check.name: check.state for check in check_exercise(path, seconds=120).checks}


@pytest.mark.slow
def test_a_notebook_that_does_not_end_or_ends_its_kernel(hand_in, ends_its_kernel, tmp_path) -> None:
    hand_in(tmp_path / "sleeps.ipynb", {"sgd_step": SLEEPS})
    report = check_exercise(tmp_path / "sleeps.ipynb", seconds=9, cell_seconds=3)
    late = {check.name: check.reason for check in report.checks if check.state == "fails"}
    assert late.keys() == {"sgd_step_any_gradient", "adam_step_examples"}
    assert all("s" in reason and ("longer than 3 s" in reason or "after 9 s" in reason) for reason in late.values())

    ended = {name for name, state in ends_its_kernel[1].items() if state == "fails"}
    assert ended == {"sgd_step_any_gradient", "adam_step_examples"}


@pytest.fixture
def kernels() -> Callable[[], set[psutil.Process]]:
    """The processes that a test has started and not ended."""
    before = set(psutil.Process().children(recursive=True))
    return lambda: set(psutil.Process().children(recursive=True)) - before


async def checked(path: Path) -> dict[str, str]:
    return states_of(path)


@pytest.mark.slow
def test_check_exercise_in_a_running_event_loop_as_in_a_notebook(ends_its_kernel) -> None:
    path, alone = ends_its_kernel
    assert asyncio.run(checked(path)) == alone


@pytest.mark.slow
def test_an_interrupt_in_a_running_event_loop_ends_the_kernel(hand_in, kernels, tmp_path) -> None:
    hand_in(tmp_path / "sleeps.ipynb", {"sgd_step": SLEEPS})

    def interrupt() -> None:
        deadline = time.monotonic() + 60
        while not kernels() and time.monotonic() < deadline:
            time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)  # to the process: its main thread waits, and must be woken

    # Not asyncio.run, which would turn the interrupt into a cancelled task; a notebook's kernel does not.
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(checked(tmp_path / "sleeps.ipynb"))
    assert not kernels()


@pytest.mark.slow
def test_a_time_limit_while_the_kernel_starts_leaves_no_kernel(hand_in, kernels, tmp_path) -> None:
    hand_in(tmp_path / "right.ipynb")
    report = check_exercise(tmp_path / "right.ipynb", seconds=0.1)
    assert {check.state for check in report.checks} <= {"fails", "hidden"}
    assert not kernels()


def test_what_check_exercise_refuses(course, tmp_path) -> None:
    with raises_one_line(ValueError, "an existing .ipynb file", "nowhere.ipynb"):
        check_exercise(tmp_path / "nowhere.ipynb")
    (tmp_path / "text.ipynb").write_text("text", encoding="utf-8")
    with raises_one_line(ValueError, "text.ipynb must be a notebook"):
        check_exercise(tmp_path / "text.ipynb")
    whole = nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("HALF")]))
    (tmp_path / "half.ipynb").write_text(whole.replace("HALF", "\\ud800"))  # valid JSON, and no text
    with raises_one_line(ValueError, "half.ipynb must be a notebook of text", "half of a surrogate pair"):
        check_exercise(tmp_path / "half.ipynb")
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "empty.ipynb")
    with raises_one_line(ValueError, "has no test cell"):
        check_exercise(tmp_path / "empty.ipynb")
    with raises_one_line(ValueError, "cell_seconds must be above 0, got 0"):
        check_exercise(course / "release" / "ps1" / f"{NOTEBOOK}.ipynb", cell_seconds=0)


def test_a_checks_own_words_need_no_name_before_them() -> None:
    lines = {"AssertionError": "words", "KernelGone": "words", "TimeoutError": "words", "KeyError": "KeyError: words"}
    assert {kind: error_line({"ename": kind, "evalue": " words\n"}) for kind in lines} == lines
    assert error_line({"ename": "AssertionError", "evalue": ""}) == "AssertionError: no message"


def test_lost_wakeups_are_mended_once(monkeypatch) -> None:
    channel = jupyter_client.channels.AsyncZMQSocketChannel
    before = channel.send
    monkeypatch.setattr(channel, "send", before)  # puts it back
    mend_lost_wakeups.cache_clear()
    mend_lost_wakeups()
    mended = channel.send
    mend_lost_wakeups()
    assert channel.send is mended is not before
    mend_lost_wakeups.cache_clear()


# Bad input


@pytest.fixture
def refused(monkeypatch, capsys, tmp_path) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["tlkit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        assert (stop.value.code, out) == (2, "")
        assert len(err.strip().splitlines()) == 1, err
        return err

    return run


def test_bad_input_is_one_line(refused, course, tmp_path) -> None:
    known = ("--assignment", "ps1", "--course", course, "--out", course)  # nothing to prepare
    assert "SUBMISSIONS must be an existing folder" in refused("grade", tmp_path / "nowhere", *known)
    (tmp_path / "empty").mkdir()
    assert "got none in" in refused("grade", tmp_path / "empty", *known)
    assert "must be one of ps1, got 'ps9'" in refused(
        "grade", tmp_path / "empty", "--assignment", "ps9", "--course", course
    )
    assert "nbgrader_config.py" in refused("grade", tmp_path / "empty", "--assignment", "ps1", "--course", tmp_path)
    (tmp_path / "file").touch()
    known = ("--assignment", "ps1", "--course", course, "--out", tmp_path / "file")
    message = refused("grade", tmp_path / "empty", *known)
    assert "--out must be a folder" in message
    assert not (tmp_path / "grades").exists()


def test_submissions_are_never_overwritten(refused, course, tmp_path) -> None:
    inside = tmp_path / "out" / "submitted" / "ann" / "ps1" / "ps1_gradients.ipynb"
    inside.parent.mkdir(parents=True)
    inside.write_text("hers", encoding="utf-8")
    shutil.copytree(course, tmp_path / "out", dirs_exist_ok=True)
    folder = tmp_path / "out" / "submitted"
    message = refused("grade", folder, "--assignment", "ps1", "--course", course, "--out", tmp_path / "out")
    assert "--out must be another folder" in message
    assert inside.read_text(encoding="utf-8") == "hers"


def test_grades_are_not_written_among_submissions(refused, course, tmp_path) -> None:
    (tmp_path / "ann").mkdir()
    known = ("--assignment", "ps1", "--course", course)
    for out in (tmp_path, tmp_path / "grades", tmp_path / "ann" / "grades"):
        assert "--out must be a folder outside SUBMISSIONS" in refused("grade", tmp_path, *known, "--out", out)
    assert [path.name for path in tmp_path.iterdir()] == ["ann"]


def test_without_nbgrader_both_commands_say_so(refused, monkeypatch, course, tmp_path) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nbgrader" else find(name))
    for arguments in (("grade", tmp_path, "--assignment", "ps1", "--course", course), ("check-exercise", "a.ipynb")):
        assert "pip install 'tlkit[exercises]'" in refused(*arguments)


@pytest.mark.parametrize("limit", ["workers", "seconds", "megabytes"])
def test_limits_must_be_above_0(limit, course) -> None:
    limits = {"workers": 1, "seconds": 1.0, "megabytes": 1.0, limit: 0}
    with raises_one_line(ValueError, "must be above 0, got 0."):
        submissions.check_run([], None, **limits)  # refused before the course is looked at


# Where submissions are found


def test_folders_and_notebooks_of_every_layout(tmp_path) -> None:
    for name in (
        "ann.ipynb",
        "bob_ps1_gradients.ipynb",
        "cyd/ps1_gradients.ipynb",
        "dan/ps1/ps1_gradients.ipynb",
        "eve/my own name.ipynb",
        "fay/one.ipynb",
        "fay/two.ipynb",
        "gus/readme.txt",
        ".DS_Store",
        "__MACOSX/x.ipynb",
        "notes.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}", encoding="utf-8")
    found = {one.student: one for one in find_submissions(tmp_path, "ps1", NOTEBOOK)}
    assert list(found) == ["ann", "bob", "cyd", "dan", "eve", "fay", "gus"]
    assert {name for name, one in found.items() if one.notebook is None} == {"fay", "gus"}
    assert found["dan"].notebook == tmp_path / "dan" / "ps1" / "ps1_gradients.ipynb"
    assert "one.ipynb, two.ipynb" in found["fay"].problem
    assert "none" in found["gus"].problem


@pytest.mark.skipif(sys.platform == "win32", reason="links, pipes and modes of POSIX")
def test_what_cannot_be_read_is_a_submission_with_a_reason(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "class"
    (folder / "dee").mkdir(parents=True)
    (folder / "unread.ipynb").write_text("{}", encoding="utf-8")
    (folder / "link.ipynb").symlink_to(folder / "unread.ipynb")
    (folder / "linked").symlink_to(folder / "dee")
    os.mkfifo(folder / "pipe.ipynb")
    os.mkfifo(folder / "dee" / f"{NOTEBOOK}.ipynb")
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "unread" not in str(path) and allowed(path, mode))
    found = find_submissions(folder, "ps1", NOTEBOOK)
    assert all(one.notebook is None for one in found)
    problems = {one.student: one.problem for one in found}
    assert problems.keys() == {"unread", "link", "linked", "pipe", "dee"}
    assert "cannot be read" in problems["unread"]
    assert "is a link" in problems["link"]
    assert "is a link" in problems["linked"]
    assert "is no regular file" in problems["pipe"]
    assert "none" in problems["dee"]


def test_a_name_is_one_name_however_its_accents_are_written(tmp_path) -> None:
    name = "José"
    (tmp_path / f"{unicodedata.normalize('NFD', name)}.ipynb").write_text("{}", encoding="utf-8")
    (one,) = find_submissions(tmp_path, "ps1", NOTEBOOK)
    assert one.student == name
    (tmp_path / f"{unicodedata.normalize('NFC', name)}_{NOTEBOOK}.ipynb").write_text("{}", encoding="utf-8")
    with raises_one_line(ValueError, f"{name!r} twice"):
        find_submissions(tmp_path, "ps1", NOTEBOOK)


def test_a_log_that_a_student_has_spoilt_loses_its_line_alone(tmp_path) -> None:
    course = Course(tmp_path, tmp_path / "config.py", "ps1", NOTEBOOK, ())
    row = submissions.Graded("ann", "f", "", {"a": "b"}, 1.0, "test cells changed x")
    course.log.write_bytes(b"\xff\n" + json.dumps(dataclasses.asdict(row)).encode() + b"\n\xfe{")
    assert submissions._graded_before(course) == {"ann": row}


def test_touched_tests_are_named(hand_in, course, tmp_path) -> None:
    release = course / "release" / "ps1" / f"{NOTEBOOK}.ipynb"
    assert touched_tests(release, release) == ""
    hand_in(tmp_path / "ann.ipynb", without=["softmax_examples"])
    notebook = nbformat.read(tmp_path / "ann.ipynb", as_version=4)
    tests = {runner.name_of(cell): cell for cell in notebook.cells}
    tests["sgd_step_keeps_inputs"].source += "\npass"
    append_copy(notebook, "adam_step_examples")
    nbformat.write(notebook, tmp_path / "ann.ipynb")
    said = touched_tests(tmp_path / "ann.ipynb", release)
    assert said == "test cells changed sgd_step_keeps_inputs; deleted softmax_examples; copied adam_step_examples"
    (tmp_path / "bob.ipynb").write_text("no notebook", encoding="utf-8")
    assert touched_tests(tmp_path / "bob.ipynb", release) == ""
    # Of many the first are named, and all are counted.
    hand_in(tmp_path / "cyd.ipynb", {name: "pass" for name, cell in tests.items() if name and name != "setup"})
    assert touched_tests(tmp_path / "cyd.ipynb", release).endswith("cross_entropy_soft_labels and 13 more")


@pytest.mark.parametrize(
    "source",
    [
        "import tlkit.grading\ntlkit.grading.check_same = print",
        "def check_same(*a, **k): pass",
        "check_same = lambda *a, **k: None",
        "import tlkit.grading as g\nsetattr(g, 'check_same', print)",
    ],
)
def test_checks_that_a_student_replaces_are_named(source, hand_in, course, tmp_path) -> None:
    release = course / "release" / "ps1" / f"{NOTEBOOK}.ipynb"
    hand_in(tmp_path / "ann.ipynb", {"softmax": source})
    assert touched_tests(tmp_path / "ann.ipynb", release) == "cells that replace check_same"
    hand_in(tmp_path / "bob.ipynb", {"softmax": "from tlkit.grading import check_same\n%magic"})
    assert touched_tests(tmp_path / "bob.ipynb", release) == ""


def test_nothing_that_the_tests_would_import_comes_along(tmp_path) -> None:
    folder = tmp_path / "class" / "ann"
    (folder / "tlkit").mkdir(parents=True)
    for name in ("ps1_gradients.ipynb", "tlkit/grading.py", "numpy.so", "cat.png", "sitecustomize.PY"):
        (folder / name).write_text("x", encoding="utf-8")
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    (folder / "link.txt").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path)
    (one,) = find_submissions(tmp_path / "class", "ps1", NOTEBOOK)
    assert [path.name for path in one.files] == ["cat.png"]


@pytest.mark.parametrize("name", ["a,b.ipynb", "=1+1.ipynb", "[x].ipynb", "a*.ipynb"])
def test_names_that_no_student_has(name, tmp_path) -> None:
    (tmp_path / name).touch()
    with raises_one_line(ValueError, "a student's name may hold"):
        find_submissions(tmp_path, "ps1", NOTEBOOK)


def test_two_submissions_of_one_student(tmp_path) -> None:
    (tmp_path / "ann.ipynb").touch()
    (tmp_path / "Ann_ps1_gradients.ipynb").touch()
    with raises_one_line(ValueError, "'ann' twice"):
        find_submissions(tmp_path, "ps1", NOTEBOOK)


def test_a_submission_that_is_too_large_is_not_read(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(submissions, "_LARGEST_FILE", 2**20)
    (tmp_path / "ann.ipynb").write_bytes(bytes(2**20 + 1))
    (one,) = find_submissions(tmp_path, "ps1", NOTEBOOK)
    assert one.notebook is None
    assert "1 are allowed" in one.problem


def test_no_reason_is_a_formula() -> None:
    for text in ("=1", "+1", "-1", "@x"):
        assert submissions._plain(text) == f"'{text}"
    assert submissions._plain("softmax = 1") == "softmax = 1"


def test_a_course_that_was_prepared_before_goes_on_hiding_its_tests(tmp_path) -> None:
    text = (ROOT / "exercises" / "nbgrader_config.py").read_text(encoding="utf-8")
    names = "SAFE_FILTERS, feedback_preprocessors"
    before = text.replace(
        "from tlkit.grading.feedback import configure_feedback", f"from tlkit._grade_worker import {names}"
    ).replace("configure_feedback(c)", "c.GenerateFeedback.preprocessors = feedback_preprocessors()")
    assert "configure_feedback" not in before
    (tmp_path / "nbgrader_config.py").write_text(before, encoding="utf-8")
    config = PyFileConfigLoader("nbgrader_config.py", path=str(tmp_path)).load_config()
    assert [kind.__name__ for kind in config.GenerateFeedback.preprocessors][1] == "Discreet"


# A class

# Seconds on the processor for a submission. Who sleeps waits for them, twice; the others need five.
LIMIT = 15
# Of memory, for who takes all there is; a process of the others takes 100.
MEGABYTES = 700

# Not to be stopped from inside: the interrupt ends a sleep, and the loop goes on.
SLEEPS = """\
import time

while True:
    try:
        time.sleep(1)
    except BaseException:
        pass
"""
SLEEPS_WHEN_CALLED = "def sgd_step(theta, gradient, learning_rate):\n" + "".join(
    f"    {line}\n" for line in SLEEPS.splitlines() if line
)
TAKES_MEMORY = "held = []\nwhile True:\n    held.append(np.ones(4_000_000))"
SGD = "\ndef sgd_step(theta, gradient, learning_rate):\n    return theta - learning_rate * gradient\n"
QUOTES = """\
def sgd_step(theta, gradient, learning_rate):
    raise ValueError(" ".join(In[-1].split("\\n")[-12:]))
"""
BANK = ["right/float32", "wrong/axis_swapped", "hostile/ends_the_process"]
LATE = ["sgd_step_any_gradient", "sgd_step_keeps_inputs"]
LATE += ["adam_step_examples", "adam_step_first_step", "adam_step_later_steps", "adam_step_keeps_inputs"]


SKIPPED = "wrong/axis_swapped"
LEFT_BEHIND = Path("~/.ipython/profile_default/startup/tlkit_test.py").expanduser()
# It leaves a file, and its answer, which is right, holds a mark of the tests.
LEAVES_AND_MARKS = """
import pathlib
place = pathlib.Path("~/.ipython/profile_default/startup").expanduser()
place.mkdir(parents=True, exist_ok=True)
lines = "get_ipython().input_transformers_post.append(lambda lines: ['pass\\\\n'])"
(place / "tlkit_test.py").write_text(lines)


def sgd_step(theta, gradient, learning_rate):
    ### BEGIN HIDDEN TESTS
    return theta - learning_rate * gradient
"""


def append_copy(notebook, name: str) -> None:
    (cell,) = (cell for cell in notebook.cells if runner.name_of(cell) == name)
    notebook.cells.append(copy.deepcopy(cell))
    notebook.cells[-1].id = f"copy-of-{name}"


def copy_and_split(notebook) -> None:
    """What a press of a key does in JupyterLab: copies carry the marks of their cell, and so do both halves of one."""
    for name in ("softmax_examples", "cross_entropy", "setup"):
        append_copy(notebook, name)
    (place,) = (i for i, cell in enumerate(notebook.cells) if runner.name_of(cell) == "softmax")
    half = copy.deepcopy(notebook.cells[place])
    half.id, half.source = "first-half", "# the upper half"
    notebook.cells.insert(place, half)


def tag_all_cells(notebook) -> None:
    """What nbclient leaves out, and marks that ask for more points than there are."""
    for cell in notebook.cells:
        cell.metadata["tags"] = ["skip-execution", "raises-exception"]
        if "points" in cell.metadata.get("nbgrader", {}):
            cell.metadata["nbgrader"]["points"] = 1000
    notebook.cells[0].metadata["nbgrader"] = {"grade": True, "grade_id": "of-my-own", "points": 90, "schema_version": 3}


@pytest.fixture(scope="module")
def graded_class(course, hand_in, tmp_path_factory):
    """A class graded for real, killed on the way, and graded to its end; what both runs left behind."""
    folder = tmp_path_factory.mktemp("class")
    for name in BANK:
        hand_in(folder / f"{name.split('/')[1]}.ipynb", answer(name).cells)
    # The first by its name: while one worker waits for it, the other one grades.
    hand_in(folder / "a_sleeper" / f"{NOTEBOOK}.ipynb", {"sgd_step": SLEEPS})
    hand_in(folder / "takes_memory.ipynb", {"sgd_step": TAKES_MEMORY})
    hand_in(folder / "quotes_tests.ipynb", {"sgd_step": QUOTES})
    hand_in(folder / "deleted_cells.ipynb", without=["softmax_examples", "sgd_step"])
    hand_in(folder / "skips_tests.ipynb", answer(SKIPPED).cells)
    hand_in(folder / "copied_cells.ipynb", {"sgd_step": LEAVES_AND_MARKS})
    for name, change in (("skips_tests", tag_all_cells), ("copied_cells", copy_and_split)):
        notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
        change(notebook)
        nbformat.write(notebook, folder / f"{name}.ipynb")
    (folder / "garbage.ipynb").write_text("not a notebook", encoding="utf-8")
    (folder / "nothing").mkdir()
    out = folder.parent / f"{folder.name}_out"
    command = [sys.executable, "-m", "tlkit", "grade", folder, "--assignment", "ps1", "--course", course, "--out", out]
    command += ["--workers", 2, "--seconds-per-notebook", LIMIT, "--memory-mb", MEGABYTES, "--feedback", "--no-sandbox"]
    command = [str(part) for part in command]
    temporary = tmp_path_factory.mktemp("temporary")
    environment = {**os.environ, "TMPDIR": str(temporary)}

    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    log = out / "graded_ps1.jsonl"
    deadline = time.monotonic() + 120
    while not (log.is_file() and len(log.read_text(encoding="utf-8").splitlines()) >= 3):
        assert first.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    first.kill()
    first.wait()
    before = log.read_text(encoding="utf-8").splitlines()
    left = processes_of(out)
    psutil.wait_procs(left, timeout=20)
    orphans = [process for process in left if process.is_running()]
    with log.open("a", encoding="utf-8") as file:
        file.write('{"student": "cut sho')
    second = subprocess.run(command, capture_output=True, text=True, timeout=500, env=environment)
    assert list(temporary.glob("tlkit-*")) == []  # the killed run's workers have removed their own
    return folder, out, command, before, orphans, second


def processes_of(out: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if str(out) in process.cmdline():
                found += [process, *process.children(recursive=True)]
        except psutil.Error:
            continue
    return found


def checks_of(
    out: Path, touched: Collection[str] = ("deleted_cells", "copied_cells", "skips_tests")
) -> dict[str, dict[str, tuple[float, float, str]]]:
    """Points, most points and reason by student and check; the tests of ``touched`` must be named as changed."""
    table: dict[str, dict[str, tuple[float, float, str]]] = {}
    with (out / "checks_ps1.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            values = (float(row["points"]), float(row["max_points"]), row["reason"])
            table.setdefault(row["student"], {})[row["check"]] = values
            assert row["held_by"] in ("bubblewrap", "Landlock", "a fence") or row["student"] in ("garbage", "nothing")
            assert bool(row["tests_touched"]) == (row["student"] in touched)
    return table


@pytest.mark.slow
def test_a_class_is_graded_whatever_it_hands_in(graded_class, instructor) -> None:
    folder, out, _, _, _, second = graded_class
    assert second.returncode == 0, second.stderr
    isolation = submissions.HALF_ISOLATED if landlock_version() else submissions.NOT_ISOLATED
    assert isolation in " ".join(second.stderr.split())  # what is not isolated is said
    table = checks_of(out)
    students = {path.stem for path in folder.iterdir()}
    assert table.keys() == students
    points = build_exercises.points(instructor)
    for rows in table.values():
        assert {name: of for name, (_, of, _) in rows.items()} == points
        assert all(bool(reason) == (got < of) for got, of, reason in rows.values())
    lost = {student: [n for n, (got, of, _) in rows.items() if got < of] for student, rows in table.items()}
    assert lost["a_sleeper"] == lost["takes_memory"] == LATE
    assert lost["axis_swapped"] == list(answer("wrong/axis_swapped").loses)
    assert lost["deleted_cells"] == LATE[:2]
    assert lost["copied_cells"] == []
    # What it left in IPython's start-up folder would run in each later kernel, and make each check pass.
    assert not LEFT_BEHIND.exists()
    assert lost["skips_tests"] == list(answer(SKIPPED).loses)
    assert lost["garbage"] == lost["nothing"] == list(points)
    assert f"more than {LIMIT} s" in table["a_sleeper"]["adam_step_examples"][2]
    assert f"more than {MEGABYTES} MB" in table["takes_memory"]["adam_step_examples"][2]
    assert "NotJSONError" in table["garbage"]["softmax_examples"][2]
    assert "handed in are: none" in table["nothing"]["softmax_examples"][2]
    # nbgrader's own file says the same.
    with (out / "grades_ps1.csv").open(encoding="utf-8", newline="") as file:
        grades = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert grades == {student: sum(got for got, _, _ in rows.values()) for student, rows in table.items()}


@pytest.mark.slow
def test_the_table_says_how_each_check_came_out(graded_class) -> None:
    table = read_checks(graded_class[1] / "checks_ps1.csv")
    states = table.pivot(index="student", columns="check", values="state")
    assert set(states.loc["float32"]) == {"passes"}
    assert set(states.loc["garbage"]) == set(states.loc["nothing"]) == {"not tested"}
    gone = {"a_sleeper": LATE, "ends_the_process": list(answer(BANK[-1]).loses)}
    for student, lost in gone.items():
        assert set(states.loc[student, lost]) == {"not tested"}
        assert set(states.loc[student].drop(lost)) == {"passes"}
    assert set(states.loc["axis_swapped", list(answer("wrong/axis_swapped").loses)]) == {"fails"}
    parts = table[table["student"] == "float32"].set_index("check")["part"]
    assert parts["softmax_examples"] == parts["softmax_large_logits"] == "1. Softmax"
    assert parts["head_gradients_any_head"] == "3. The gradient"
    # A softmax that lost points was replaced where later parts call one.
    lent = table[table["tested_with"] != ""]
    assert set(lent["student"]) == {"axis_swapped", "skips_tests"}
    assert {*lent["tested_with"]} == {"softmax"}
    assert {*lent["check"]} == {"logit_gradient_examples", "logit_gradient_any_labels", "head_gradients_any_head"}


@pytest.mark.slow
def test_the_class_is_shown_at_a_glance(graded_class) -> None:
    folder, out, *_, second = graded_class
    path = out / "overview_ps1.html"
    assert str(path) in second.stdout
    page = path.read_text(encoding="utf-8")
    students = {one.stem for one in folder.iterdir()}
    assert set(re.findall(r'<th scope="row" title="([^"]*)">', page)) == students
    linked = dict(re.findall(r'<a href="(feedback/[^"]*)">([^<]*)</a>', page))
    assert set(linked.values()) == students - {"garbage", "nothing"}
    assert all((out / unquote(link)).is_file() for link in linked)
    flagged = set(re.findall(r"<li>(\w+): test cells ", page))
    assert flagged == {"deleted_cells", "copied_cells", "skips_tests"}


@pytest.mark.slow
def test_feedback_says_what_was_lent_and_which_tests_were_touched(graded_class) -> None:
    pages = {path.parts[-3]: html.unescape(path.read_text("utf-8")) for path in graded_class[1].rglob("feedback/*/*/*")}
    with_lent = {student for student, page in pages.items() if lent_words(["softmax"]) in page}
    assert with_lent == {"axis_swapped", "skips_tests"}
    flagged = {student for student, page in pages.items() if "Found in your notebook: test cells" in page}
    assert flagged == {"deleted_cells", "copied_cells", "skips_tests"}
    for page in pages.values():
        assert "<math" in page
        assert not re.search(r"\$\$|<script|https?:", page)
    assert "It ended at sgd_step." in pages["ends_the_process"]


@pytest.mark.slow
@pytest.mark.parametrize("name", BANK)
def test_grades_are_those_of_the_graders_own_test(name, graded_class, instructor) -> None:
    """Of what each answer of the bank loses; tests/exercises/test_banks.py has run it."""
    rows = checks_of(graded_class[1])[name.split("/")[1]]
    points = build_exercises.points(instructor)
    expected = {check: 0.0 if check in answer(name).loses else worth for check, worth in points.items()}
    assert {check: got for check, (got, _, _) in rows.items()} == expected


@pytest.mark.slow
def test_it_goes_on_after_a_crash(graded_class, hand_in, monkeypatch, capsys) -> None:
    folder, out, command, before, orphans, second = graded_class
    assert orphans == []
    graded = [json.loads(line)["student"] for line in before]
    assert f"{len(graded)} of them before" in second.stdout
    log = (out / "graded_ps1.jsonl").read_text(encoding="utf-8")
    assert log.startswith("\n".join(before))
    students = re.findall(r'^\{"student": "(\w+)", ', log, flags=re.MULTILINE)
    assert sorted(students) == sorted(path.stem for path in folder.iterdir())  # each once
    # What was handed in again is graded again, and nothing else is.
    hand_in(folder / "nothing" / f"{NOTEBOOK}.ipynb")
    monkeypatch.setattr(sys, "argv", ["tlkit", *command[3:]])
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr()
    assert f"{len(students)} submissions graded, {len(students) - 1} of them before" in said.out, said.err
    assert sum(got for got, _, _ in checks_of(out)["nothing"].values()) == build_exercises.TOTAL
    assert processes_of(out) == []


@pytest.mark.slow
def test_feedback_tells_no_secret(graded_class, instructor) -> None:
    from test_banks import secret_lines

    folder, out, *_ = graded_class
    pages = {path.parts[-3]: path for path in (out / "feedback").rglob("*.html")}
    assert pages.keys() >= {path.stem for path in folder.iterdir()} - {"garbage", "nothing"}
    tests = [cell.source for cell in instructor.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    hidden = secret_lines(type(instructor)(instructor | {"cells": instructor.cells})) & {
        line.strip() for source in tests for line in source.split("\n")
    }
    assert hidden
    for student, path in pages.items():
        text = html.unescape(re.sub(r"<[^>]+>", "", path.read_text(encoding="utf-8")))
        assert "Reread" in text or student not in ("axis_swapped",)
        assert [line for line in hidden if line in text] == [], student


LOOKS_AROUND = """\
import pathlib
import socket

seen = [str(path) for path in map(pathlib.Path, PATHS) if path.exists()]
assert not seen, seen
"""


def test_each_submission_has_a_home_of_its_own(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.delenv("TLKIT_DATA_DIR", raising=False)
    look = "from pathlib import Path; import tempfile; print(Path.home(), tempfile.gettempdir())"
    homes = []
    for _ in range(2):
        with world_of_its_own() as (folder, environment):
            assert Path(environment["TLKIT_DATA_DIR"]) == text_folder().parent  # what was fetched is read where it is
            assert "IPYTHONDIR" not in environment
            run = subprocess.run([sys.executable, "-c", look], env=environment, capture_output=True, text=True)
            home, temporary = run.stdout.split()
            assert {Path(home).parent, Path(temporary).parent} == {folder}
            (Path(home) / "left behind").touch()
            homes.append(home)
        assert not folder.exists()
    assert homes[0] != homes[1]


# The bank waits for a limit in the sandbox, too. tests/test_attacks.py has wrong answers and more of the hostile ones.
IN_SANDBOX = ("right", "takes_memory")
FURTHER_IN_SANDBOX = ("a_sleeper", "axis_swapped", "ends_the_process", "right", "sleeps_when_called")


@pytest.mark.slow
@pytest.mark.skipif(not bubblewrap(), reason="needs bubblewrap, and the right to use it")
@pytest.mark.parametrize("names", in_bank([IN_SANDBOX, FURTHER_IN_SANDBOX], but=[IN_SANDBOX]), ids="+".join)
def test_in_the_sandbox_grades_are_the_same_and_files_are_hidden(names, course, out, hand_in, tmp_path) -> None:
    """The sandbox is what a machine that has it takes by itself."""
    folder = tmp_path / "class"
    hidden = [str(ROOT / "exercises"), str(ROOT / "README.md"), str(folder)]
    wrong, ends = answer("wrong/axis_swapped"), answer("hostile/ends_the_process")
    handed_in = {
        "right": ({"sgd_step": LOOKS_AROUND.replace("PATHS", repr(hidden)) + SGD}, []),
        "axis_swapped": (wrong.cells, list(wrong.loses)),
        "takes_memory": ({"sgd_step": TAKES_MEMORY}, LATE),
        "a_sleeper": ({"sgd_step": SLEEPS}, LATE),
        "sleeps_when_called": ({"sgd_step": SLEEPS_WHEN_CALLED}, LATE),
        "ends_the_process": (ends.cells, list(ends.loses)),
    }
    for name in names:
        hand_in(folder / f"{name}.ipynb", handed_in[name][0])
    command = ["grade", folder, "--assignment", "ps1", "--course", course, "--out", out, "--feedback"]
    command += ["--workers", 1, "--seconds-per-notebook", LIMIT, "--memory-mb", MEGABYTES]
    run = run_python("-m", "tlkit", *map(str, command), timeout=400)
    assert run.returncode == 0, run.stderr
    assert "in a sandbox" in run.stderr
    table = checks_of(out)
    lost = {name: [n for n, (got, of, _) in rows.items() if got < of] for name, rows in table.items()}
    assert lost == {name: handed_in[name][1] for name in names}
    limits = {"takes_memory": f"more than {MEGABYTES} MB", "a_sleeper": f"more than {LIMIT} s"}
    assert all(limit in table[name]["adam_step_examples"][2] for name, limit in limits.items() if name in names)
    assert (out / "feedback" / "right").is_dir()
    assert processes_of(out) == []


def test_a_sandbox_that_is_not_there_is_named(course, out, hand_in, tmp_path, monkeypatch) -> None:
    hand_in(tmp_path / "class" / "ann.ipynb")
    monkeypatch.setattr("shutil.which", lambda name: None)
    with raises_one_line(ValueError, "--sandbox must find bubblewrap"):
        cli.grade(tmp_path / "class", "ps1", course=course, out=out, sandbox=True)


def test_two_runs_do_not_grade_into_one_folder(course, out, hand_in, tmp_path) -> None:
    from filelock import FileLock

    hand_in(tmp_path / "class" / "ann.ipynb")
    prepared = prepare_course(course, "ps1", out)
    found = find_submissions(tmp_path / "class", "ps1", NOTEBOOK)
    with FileLock(out / "grading.lock"), raises_one_line(ValueError, "--out must be free, got"):
        submissions.grade_submissions(found, prepared, workers=1, seconds=60, megabytes=2000)


@pytest.mark.slow
def test_nbgraders_own_feedback_tells_no_secret_either(graded_class, instructor) -> None:
    """`nbgrader generate_feedback`, and formgrader's button: with the settings of the course alone."""
    from nbgrader.apps import NbGraderAPI
    from test_banks import secret_lines

    out = graded_class[1]
    shutil.rmtree(out / "feedback" / "axis_swapped")
    config = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT / "exercises")).load_config()
    config.CourseDirectory.root = str(out)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = NbGraderAPI(config=config).generate_feedback("ps1", "axis_swapped", force=True)
    assert result["success"], result.get("log")
    (page,) = (out / "feedback" / "axis_swapped").rglob("*.html")
    text = html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))
    assert "Reread" in text
    assert [line for line in secret_lines(instructor) if line in text and "check_" in line] == []


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends an interrupt as a terminal does")
def test_ctrl_c_ends_everything(course, out, hand_in, tmp_path) -> None:
    hand_in(tmp_path / "class" / "sleeps.ipynb", {"sgd_step": SLEEPS})
    command = ["grade", tmp_path / "class", "--assignment", "ps1", "--course", course, "--out", out]
    run = subprocess.Popen([sys.executable, "-m", "tlkit", *map(str, command)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(processes_of(out)) < 4:  # the command, a worker and its kernel, some of them twice
        assert time.monotonic() < deadline
        time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=30)
    assert run.returncode != 0
    assert "Traceback" not in err, err
    assert processes_of(out) == []


CROWD = 200


@pytest.mark.slow
@pytest.mark.bank
def test_a_crowd_loses_nobody_and_memory_stays_flat(course, hand_in, instructor, tmp_path) -> None:
    """200 submissions, the bank's answers in turn with the hostile ones: every grade right."""
    answers = runner.bank("ps1")
    folder, out = tmp_path / "class", tmp_path / "out"
    handed_in = {f"s{number:03d}": answers[number % len(answers)] for number in range(CROWD)}
    for student, one in handed_in.items():
        hand_in(folder / f"{student}.ipynb", one.cells)
    command = ["grade", folder, "--assignment", "ps1", "--course", course, "--out", out]
    command += ["--workers", 2, "--seconds-per-notebook", 300, "--memory-mb", 1500]
    run = subprocess.Popen(
        [sys.executable, "-m", "tlkit", *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    memory = []
    process = psutil.Process(run.pid)
    while run.poll() is None:
        time.sleep(1)
        with contextlib.suppress(psutil.Error, OSError):
            memory.append((len(graded_lines(out)), process.memory_info().rss))
    assert run.returncode == 0
    # The only one that has names of its own for what the tests call: no test is lost by it, but it is said.
    table = checks_of(out, [name for name, one in handed_in.items() if one.name == "talkative_and_rough"])
    assert table.keys() == handed_in.keys()
    points = build_exercises.points(instructor)
    assert all(rows.keys() == points.keys() for rows in table.values())
    lost = {s: {name: why for name, (got, of, why) in rows.items() if got < of} for s, rows in table.items()}
    wrongly = {s: (one.name, lost[s]) for s, one in handed_in.items() if lost[s].keys() != set(one.loses)}
    assert wrongly == {}
    early = [rss for done, rss in memory if 20 <= done < 60]
    late = [rss for done, rss in memory if 160 <= done < CROWD]
    assert max(late) < 1.2 * max(early), (max(early) >> 20, max(late) >> 20)
    assert processes_of(out) == []


def graded_lines(out: Path) -> list[str]:
    log = out / "graded_ps1.jsonl"
    return log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
