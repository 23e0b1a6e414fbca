"""The bank of attacks on nbgrader alone: the same course and the same notebooks, with nbgrader's own configuration.

    python tools/attacks_on_nbgrader.py                     # writes tests/exercises/attacks/nbgrader.csv
    python tools/attacks_on_nbgrader.py skips_tests_by_tags # one attack: its row is written anew
    python tools/attacks_on_nbgrader.py --table             # the table of docs/security.md

Each attack has a course of its own with two students, the attacker and, after it, an honest one. nbgrader has no
sandbox: attacks that would harm the machine are left out. What is measured is ``nbgrader autograde``:

    gains      more points than the same answers without the attack
    reads      what no student should see stands among the outputs of its own cells, not counting those of tests
    changes    a grade that nobody gave stands in the gradebook
    harms      the honest student does not get all points
    sends      data reached another process
    lives      a process that it has started lives when nbgrader has ended
    scripts    a page of feedback runs what the student has written
    no grade   nbgrader drops the submission
    no end     nbgrader had not ended after 60 s
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "exercises")]

import attacks as bank  # noqa: E402

SECONDS = 60
RESULTS = bank.ATTACKS / "nbgrader.csv"


def plain_course(folder: Path, answers: Path) -> None:
    """A course of nbgrader's that knows ps1, with solutions and hidden tests, and no configuration of ours."""
    shutil.copytree(answers / "source", folder / "source")
    (folder / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'plain'\n")
    nbgrader(folder, os.environ | {}, "generate_assignment", "ps1", "--create", "--force")


def nbgrader(course: Path, environment: dict[str, str], *arguments: str) -> bool:
    """Run nbgrader in a course; whether it ended in time."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with subprocess.Popen(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=course,
        env=environment | {"PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return False
    return True


def scores(course: Path) -> dict[str, float]:
    """The points of each student who has a graded notebook."""
    with sqlite3.connect(course / "gradebook.db") as book:
        rows = book.execute(
            "SELECT submitted_assignment.student_id, SUM(COALESCE(grade.manual_score, grade.auto_score, 0)) FROM grade "
            "JOIN submitted_notebook ON grade.notebook_id = submitted_notebook.id "
            "JOIN submitted_assignment ON submitted_notebook.assignment_id = submitted_assignment.id "
            "GROUP BY submitted_assignment.student_id"
        ).fetchall()
    graded = {path.parts[-3] for path in (course / "autograded").glob("*/ps1/*.ipynb")}
    return {student: points for student, points in rows if student in graded}


def measured(attack: bank.Attack, answers: Path, template: Path, place: Path) -> list[str]:
    """What an attack does."""
    course, home, mark = place / "course", place / "home", uuid.uuid4().hex
    shutil.copytree(template, course)
    environment = bank.graders_environment(home, mark)
    weak = bank.read_attack(bank.ATTACKS / "weak.py").parts
    for student, cells, parts in (("attacker", weak | attack.parts, attack.parts), ("honest", bank.honest_cells(), {})):
        bank.hand_in(answers, course / "submitted" / student / "ps1", cells, parts)
    with bank.listener() as (port, received):
        ended = nbgrader(course, environment | {bank.PORT: str(port)}, "autograde", "ps1", "--create", "--force")
        time.sleep(0.5)
    if "<script>" in str(attack.parts):
        nbgrader(course, environment, "generate_feedback", "ps1", "--force")
    pages = [path.read_text(encoding="utf-8") for path in course.glob("feedback/attacker/ps1/*.html")]
    left = bank.marked_processes(mark)
    for process in left:
        process.kill()
    points = scores(course)
    found = {
        "gains": points.get("attacker", 0) > sum(bank.WEAK.values()),
        "reads": bank.CANARY in bank.outputs_of(course, "attacker", of_tests=False),
        "changes": bank.manual_scores(course) > 0,
        "harms": ended and points.get("honest") != 100,
        "sends": bool(received),
        "lives": ended and bool(left),
        "scripts": any(map(bank.live_scripts, pages)),
        "no grade": ended and "attacker" not in points,
        "no end": not ended,
    }
    print(attack.name, points, [name for name, true in found.items() if true], flush=True)
    return [name for name, true in found.items() if true]


def table() -> str:
    """The table of docs/security.md: what each attack does, under what holds it, and on nbgrader alone."""
    with RESULTS.open(encoding="utf-8", newline="") as file:
        plain = {row["attack"]: row["nbgrader"] for row in csv.DictReader(file)}
    lines = [
        "| attack | what it tries | bubblewrap | Landlock | a fence | nbgrader alone |",
        "|---|---|---|---|---|---|",
    ]
    for name, attack in bank.attacks().items():
        cells = [_words(attack.does[held_by]) for held_by in (bank.BUBBLEWRAP, bank.LANDLOCK, bank.FENCE)]
        if attack.as_root:
            cells[-1] = f"{_words(attack.as_root)} (root)"
        if attack.sandbox_only:
            cells[1:] = ["not tried"] * 2
        on_pipe = any("PEER" in part for part in attack.parts.values())
        cells.append("–" if on_pipe else _words(plain[name].split(", ")) if name in plain else "not tried")
        text = re.sub(r"([|<*_])", r"\\\1", attack.text)
        lines.append(f"| {name.replace('_', ' ')} | {text} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _words(done: Iterable[str]) -> str:
    found = sorted(one for one in done if one)
    return f"**{', '.join(found)}**" if found else "held"


def main(*names: str) -> None:
    if names == ("--table",):
        print(table())
        return
    found: dict[str, list[str]] = {}
    if names and RESULTS.is_file():
        with RESULTS.open(encoding="utf-8", newline="") as file:
            found = {row["attack"]: row["nbgrader"].split(", ") for row in csv.DictReader(file)}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        answers = bank.make_course(place / "answers")
        plain_course(place / "template", answers)
        for name, attack in bank.attacks().items():
            if (not names or name in names) and not attack.sandbox_only:
                (place / name).mkdir()
                found[name] = measured(attack, answers, place / "template", place / name)
                shutil.rmtree(place / name, ignore_errors=True)
    rows = [(name, ", ".join(found[name])) for name in bank.attacks() if name in found]
    with RESULTS.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("attack", "nbgrader"), *rows])


if __name__ == "__main__":
    main(*sys.argv[1:])
