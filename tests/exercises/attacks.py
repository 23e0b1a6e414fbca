"""The bank of attacks on the grader, and a class in which some students attack and others are honest.

    python tests/exercises/attacks.py forges_calls           # one attack, and what it got

An attack is a file of ``attacks/``: a docstring that says what it tries, then parts ``# %% name``. A part with the name
of a solution cell replaces that cell of ``weak``, whose answers all are wrong. The part ``notebook`` is run with the
student's notebook as ``notebook``, and ``files`` with the folder in which it is handed in as ``folder``. A line
``# uses: NAME, ...`` at the beginning of a part stands for parts of ``shared``. Lines before the first part say how it
is run, and what comes of it where not bubblewrap holds students' code but Landlock, or a fence alone:

    # alone                       in a class of its own: it harms others where it works
    # only in bubblewrap: why     it would harm the machine
    # with a fence: gains         more points than weak
    # with a fence: reads         what no student should see
    # with a fence: changes       gradebook, log or other students' files
    # with a fence: harms         other students' points
    # with Landlock: sends        data to another process
    # with a fence, as root: reads
"""

from __future__ import annotations

import ast
import copy
import csv
import functools
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(Path(__file__).parent)]

import build_exercises  # noqa: E402
import nbformat  # noqa: E402
import psutil  # noqa: E402
import runner  # noqa: E402

ATTACKS = Path(__file__).parent / "attacks"
NOTEBOOK = "ps1_gradients"
SECONDS, MEGABYTES = 30, 1500  # limits on a submission
# In what is nobody's to see: hidden tests, solutions, other students' notebooks, the environment, the user's files.
CANARY = "CANARY"
BUBBLEWRAP, LANDLOCK, FENCE = "bubblewrap", "Landlock", "a fence"  # what holds students' code
PORT = "PYTHON_TLKIT_PORT"  # and one that tells where data could be sent
MARK = "PYTHON_TLKIT_ATTACK"  # a variable that reaches each process that a run starts, and tells it from all others


@dataclass(frozen=True)
class Attack:
    """One file of the bank."""

    name: str
    text: str
    parts: dict[str, str]
    alone: bool
    sandbox_only: bool
    does: dict[str, frozenset[str]]  # what it does under what holds it
    as_root: frozenset[str]  # and what it may do besides with a fence where the grader is root


def read_parts(path: Path) -> tuple[str, dict[str, str]]:
    """What stands above a file's parts, and these by their names."""
    head, *parts = re.split(r"^# %% (\w+)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return head, {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}


@functools.cache
def shared() -> dict[str, str]:
    """What several attacks are made of."""
    return read_parts(ATTACKS / "shared.py")[1]


def with_shared(text: str) -> str:
    """A part of an attack, with what it uses."""
    found = re.match(r"# uses: (.+)\n", text)
    return "\n\n\n".join([*(shared()[name] for name in found[1].split(", ")), text[found.end() :]]) if found else text


def read_attack(path: Path) -> Attack:
    head, parts = read_parts(path)
    notes = re.findall(r"^# (.+)$", head, flags=re.MULTILINE)

    def effects(begin: str) -> frozenset[str]:
        found = [note.removeprefix(begin) for note in notes if note.startswith(begin)]
        return frozenset(word.strip() for one in found for word in one.split(","))

    return Attack(
        path.stem,
        (ast.get_docstring(ast.parse(head)) or "").strip(),
        {name: with_shared(text) for name, text in parts.items()},
        "alone" in notes,
        any(note.startswith("only in bubblewrap") for note in notes),
        {BUBBLEWRAP: frozenset(), LANDLOCK: effects("with Landlock: "), FENCE: effects("with a fence: ")},
        effects("with a fence, as root: "),
    )


def attacks() -> dict[str, Attack]:
    """Each attack by its name; ``weak`` and ``shared`` are none."""
    found = [read_attack(path) for path in sorted(ATTACKS.glob("*.py"))]
    return {one.name: one for one in found if one.name not in ("weak", "shared")}


# A class


def make_course(folder: Path) -> Path:
    """An instructor's folder with ps1 alone; its secrets carry canaries."""
    notebook = runner.instructor_notebook("ps1")
    for cell in notebook.cells:
        for begin, name in ((build_exercises.BEGIN_HIDDEN, "TEST"), (build_exercises.BEGIN_SOLUTION, "SOLUTION")):
            cell.source = re.sub(rf"^( *){begin}$", rf"\g<0>\n\1# {CANARY}-{name}", cell.source, flags=re.MULTILINE)
    return runner.course_folder(folder, {"ps1": notebook})


def hand_in(course: Path, folder: Path, cells: dict[str, str], parts: dict[str, str]) -> None:
    """Write a student's folder: the release with these solutions, changed as the parts of an attack say."""
    notebook = nbformat.read(course / "release" / "ps1" / f"{NOTEBOOK}.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cells.get(runner.name_of(cell), cell.source)
    names: dict[str, Any] = {"notebook": notebook, "nbformat": nbformat, "copy": copy, "runner": runner, "os": os}
    exec(parts.get("notebook", ""), names)
    folder.mkdir(parents=True)
    (folder / f"{NOTEBOOK}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    exec(parts.get("files", ""), {"folder": folder, "os": os})


def honest_cells(name: str = "") -> dict[str, str]:
    """The reference solution, or an answer of ps1's bank in it."""
    reference = {cell: source for cell, source in runner.reference("ps1").items() if "BEGIN SOLUTION" in source}
    return reference | (runner.read_answer(runner.BANKS / "ps1" / f"{name}.py").cells if name else {})


WEAK = {"sgd_step_keeps_inputs": 2.0, "adam_step_keeps_inputs": 2.0}  # what all of whose answers are wrong gets
HONEST = {"honest_before": "", "honest_between": "wrong/sgd_uphill", "zz_honest_after": ""}


def make_class(course: Path, folder: Path, members: list[Attack]) -> None:
    """The attackers, honest students before, between and after them, and a weak one who does not attack."""
    weak = read_attack(ATTACKS / "weak.py").parts
    for name, bank in HONEST.items():
        cells = {cell: f"{source}\n# {CANARY}-STUDENT" for cell, source in honest_cells(bank).items()}
        hand_in(course, folder / name, cells, {})
    hand_in(course, folder / "weak", weak, {})
    for attack in members:
        hand_in(course, folder / attack.name, weak | attack.parts, attack.parts)


@dataclass
class Graded:
    """What came of a class."""

    out: Path
    returncode: int
    stderr: str
    points: dict[str, dict[str, float]]
    received: list[bytes]
    alive: list[str]
    changed: list[str]
    seconds: float
    log: list[dict[str, Any]] = field(default_factory=list)


def grade_class(course: Path, folder: Path, out: Path, held_by: str, workers: int = 2) -> Graded:
    """Grade with the command, started in the folder of submissions, and look at what it has left behind."""
    home, mark = out.parent / f"{out.name}_home", uuid.uuid4().hex
    environment = graders_environment(home, mark)
    before = _digest(course, folder, home)
    command = ["grade", folder, "--assignment", "ps1", "--course", course, "--out", out, "--workers", workers]
    command += ["--seconds-per-notebook", SECONDS, "--memory-mb", MEGABYTES, "--feedback"]
    command += ["--sandbox" if held_by == BUBBLEWRAP else "--no-sandbox"]
    # Hiding Landlock is what makes a machine that has a fence alone.
    without = [sys.executable, str(ROOT / "tests" / "exercises" / "without_landlock.py")] if held_by == FENCE else []
    start = time.monotonic()
    with listener() as (port, received):
        environment |= {"PYTHONPATH": str(ROOT), PORT: str(port), "TLKIT_DATA_DIR": str(home / "data")}
        run = subprocess.run(
            [*without, sys.executable, "-P", "-m", "tlkit", *map(str, command)],
            cwd=folder,  # where files of students' lie
            env=environment,
            capture_output=True,
            text=True,
            timeout=3000,
        )
        time.sleep(0.5)
    alive = [" ".join(process.info["cmdline"] or []) for process in marked_processes(mark)]
    after = _digest(course, folder, home)
    changed = sorted(str(path) for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    graded = Graded(out, run.returncode, run.stderr, points_of(out), received, alive, changed, time.monotonic() - start)
    log = (out / "graded_ps1.jsonl").read_bytes().splitlines() if (out / "graded_ps1.jsonl").is_file() else []
    for line in log:
        try:
            graded.log.append(json.loads(line))
        except ValueError:
            graded.log.append({"student": None})
    return graded


def graders_environment(home: Path, mark: str) -> dict[str, str]:
    """Makes the home of whoever grades, and gives the variables; both hold secrets, and ``mark`` tells the run."""
    home.mkdir()
    (home / "secret.txt").write_text(f"{CANARY}-FILE", encoding="utf-8")
    return {**os.environ, "HOME": str(home), MARK: mark, "SECRET": f"{CANARY}-ENVIRONMENT"}


@contextmanager
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A port of this machine to which no student should be able to send; at the end, what came."""
    received: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(0.1)
        yield listener.getsockname()[1], received
        try:
            while True:
                received.append(listener.recv(100))
        except TimeoutError:
            pass


def marked_processes(mark: str) -> list[psutil.Process]:
    """The processes that were started below a run and live."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        try:
            if process.environ().get(MARK) == mark and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _digest(*folders: Path) -> dict[Path, bytes | str]:
    """What lies in folders that nobody may change; the course's own logs apart."""
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if "gradebook" not in path.name]
    ignored = ("tlkit-cache", ".cache", ".config", ".local", ".ipython/profile_default/history", "data")
    files = [path for path in files if not any(part in str(path) for part in ignored)]
    return {path: path.read_bytes() if path.is_file() and not path.is_symlink() else path.name for path in files}


def points_of(out: Path) -> dict[str, dict[str, float]]:
    """Each student's points a test, from the table."""
    table: dict[str, dict[str, float]] = {}
    with (out / "checks_ps1.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            table.setdefault(row["student"], {})[row["check"]] = float(row["points"])
    return table


def manual_scores(out: Path) -> int:
    """Grades that a person is said to have given; nobody has."""
    with sqlite3.connect(out / "gradebook.db") as book:
        (count,) = book.execute("SELECT count(*) FROM grade WHERE manual_score IS NOT NULL").fetchone()
        (triggers,) = book.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone()
    return int(count + triggers)


def outputs_of(out: Path, student: str, *, of_tests: bool = True) -> str:
    """What the cells of a student's graded notebook have written."""
    found = []
    for path in (out / "autograded" / student / "ps1").glob(f"{NOTEBOOK}.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        cells = [cell for cell in cells if of_tests or not cell["metadata"].get("nbgrader", {}).get("grade")]
        found += [json.dumps(cell["outputs"]) for cell in cells if cell.get("outputs")]
    return "\n".join(found)


def live_scripts(page: str) -> list[str]:
    """The scripts of the attack ``writes_scripts`` that a browser would run in a page."""
    return re.findall(r"<[^>]*attack\(\)[^>]*>|<script[^>]*>\s*attack\(\)|href=.javascript:[^>]*", page)


def said_by(out: Path, student: str) -> str:
    """All that a student's cells have said: outputs and reasons."""
    with (out / "checks_ps1.csv").open(encoding="utf-8", newline="") as file:
        reasons = [row["reason"] for row in csv.DictReader(file) if row["student"] == student]
    return "\n".join([outputs_of(out, student), *reasons])


def effects(graded: Graded, attack: Attack) -> set[str]:
    """What an attack has got: points that weak has not, or what it should not see."""
    got = graded.points.get(attack.name, {})
    found = set()
    if any(points > WEAK.get(check, 0) for check, points in got.items()):
        found.add("gains")
    if CANARY in said_by(graded.out, attack.name):
        found.add("reads")
    return found


def effects_on_others(graded: Graded, course: Path, folder: Path) -> set[str]:
    """What attackers have done to others: to their points, to gradebook, log and folders, or to other processes."""
    found = set()
    out, source = graded.out, Path("source") / "ps1" / f"{NOTEBOOK}.ipynb"
    if {name: graded.points.get(name) for name in HONEST} != {name: honest_points(name) for name in HONEST}:
        found.add("harms")
    students = sorted(path.name for path in folder.iterdir() if path.is_dir())
    copies = [out / "submitted" / student / "ps1" / f"{NOTEBOOK}.ipynb" for student in students]
    as_they_were = (
        not graded.changed
        and manual_scores(out) == 0
        and sorted(row["student"] or "" for row in graded.log) == students
        and (out / source).read_bytes() == (course / source).read_bytes()
        and all(copy.is_file() for copy in copies)
        and all(copy.read_bytes() == (folder / copy.parts[-3] / copy.name).read_bytes() for copy in copies)
        and all((out / "autograded" / name / "ps1" / f"{NOTEBOOK}.ipynb").is_file() for name in HONEST)
    )
    if not as_they_were:
        found.add("changes")
    return found | ({"sends"} if graded.received else set()) | ({"lives"} if graded.alive else set())


def honest_points(name: str) -> dict[str, float]:
    """What an honest student must get."""
    loses = runner.read_answer(runner.BANKS / "ps1" / f"{HONEST[name]}.py").loses if HONEST[name] else ()
    points = build_exercises.points(runner.instructor_notebook("ps1"))
    return {check: 0.0 if check in loses else float(of) for check, of in points.items()}


def main(*names: str) -> None:
    """Print what each attack comes to."""
    import tempfile

    for name in names or attacks():
        attack = attacks()[name]
        for held_by in (BUBBLEWRAP, LANDLOCK, FENCE):
            if attack.sandbox_only and held_by != BUBBLEWRAP:
                continue
            with tempfile.TemporaryDirectory() as place:
                course = make_course(Path(place) / "course")
                make_class(course, Path(place) / "class", [attack])
                graded = grade_class(course, Path(place) / "class", Path(place) / "out", held_by)
                found = effects(graded, attack) | effects_on_others(graded, course, Path(place) / "class")
                said = said_by(graded.out, name)[:2000] if len(names) == 1 else ""
                points = sum(graded.points.get(name, {}).values())
                print(name, held_by, points, sorted(found), graded.alive, graded.changed, said, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
