"""The bank of attacks (tests/exercises/attacks): what each gets from the grader, with the sandbox and without it.

Each class is graded by the command, with honest students before, between and after those who attack.
"""

import html
import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from helpers import ROOT

from tlkit.grading.course import course_api
from tlkit.grading.examiner import student_sandbox

sys.path.insert(0, str(ROOT / "tests" / "exercises"))

pytest.importorskip("nbgrader", reason="needs tlkit[exercises]")
import attacks as bank
from attacks import Attack, Graded

ATTACKS = bank.attacks()
# `make test` runs these: what had broken through before, and what would stop a class.
SAMPLE = (
    "moves_tests_down",
    "reads_the_notebook_beside_it",
    "forges_calls",
    "has_a_test_without_text",
    "writes_scripts",
)
# A limit on the submission, what nbgrader has then to write down its grades, and a second try; all on a busy machine.
LONGEST = 2 * (bank.SECONDS + 30) + 30
needs_sandbox = pytest.mark.skipif(not student_sandbox(), reason="needs bubblewrap, and the right to use it")
MODES = [pytest.param(True, id="sandbox", marks=needs_sandbox), pytest.param(False, id="no sandbox")]


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    return bank.make_course(tmp_path_factory.mktemp("attacked") / "course")


def graded(course: Path, place: Path, members: list[Attack], *, sandbox: bool) -> Graded:
    bank.make_class(course, place / "class", members)
    return bank.grade_class(course, place / "class", place / "out", sandbox=sandbox)


def test_the_bank_is_rich_enough() -> None:
    cells = set(bank.read_attack(bank.ATTACKS / "weak.py").parts)
    assert len(ATTACKS) >= 60
    for attack in ATTACKS.values():
        assert attack.text.endswith(".")
        assert attack.parts
        assert attack.parts.keys() <= cells | {"notebook", "files"}
    assert set(SAMPLE) <= ATTACKS.keys()


def looks_right(found: Graded, members: list[Attack], course: Path, place: Path, *, sandbox: bool) -> None:
    """Each attack has got what its file says of it, and nobody else has lost anything unless it says so."""
    assert found.returncode == 0, found.stderr
    assert sum(found.points["weak"].values()) == 4
    for attack in members:
        may = frozenset() if sandbox else attack.without - {"changes", "harms", "sends"}
        besides = attack.as_root if not sandbox and os.name == "posix" and os.geteuid() == 0 else frozenset()
        got = bank.effects(found, attack)
        assert may <= got <= may | besides, (attack.name, got)
    to_others = {effect for attack in members if not sandbox for effect in attack.without} & {
        "changes",
        "harms",
        "sends",
    }
    assert bank.effects_on_others(found, course, place / "class") == to_others, (found.changed, found.alive)
    assert max(row.get("seconds", 0) for row in found.log) < LONGEST
    no_page_tells_or_runs(found.out)


def no_page_tells_or_runs(out: Path) -> None:
    """Neither feedback nor formgrader's pages hold a script of a student's, and no feedback a hidden test."""
    exporter = exporter_of_formgrader(out)
    for path in out.glob("feedback/*/ps1/*.html"):
        page = path.read_text(encoding="utf-8")
        assert f"{bank.CANARY}-TEST" not in html.unescape(re.sub(r"<[^>]+>", "", page)), path
        assert live_scripts(page) == [], path
    for path in out.glob("autograded/writes_scripts/ps1/*.ipynb"):
        page, _ = exporter.from_notebook_node(nbformat.read(path, as_version=4))
        assert live_scripts(page) == []


def exporter_of_formgrader(out: Path):
    from nbconvert.exporters import HTMLExporter

    return HTMLExporter(config=course_api(out / "nbgrader_config.py", out).config)


def live_scripts(page: str) -> list[str]:
    return re.findall(r"<[^>]*attack\(\)[^>]*>|<script[^>]*>\s*attack\(\)|href=.javascript:[^>]*", page)


@pytest.mark.slow
@needs_sandbox
def test_what_had_broken_through_does_not(course, tmp_path) -> None:
    members = [ATTACKS[name] for name in SAMPLE]
    looks_right(graded(course, tmp_path, members, sandbox=True), members, course, tmp_path, sandbox=True)


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.parametrize("sandbox", MODES)
def test_a_class_of_attackers(sandbox, course, tmp_path) -> None:
    members = [one for one in ATTACKS.values() if not one.alone and (sandbox or not one.sandbox_only)]
    looks_right(graded(course, tmp_path, members, sandbox=sandbox), members, course, tmp_path, sandbox=sandbox)


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.parametrize("sandbox", MODES)
@pytest.mark.parametrize("name", [name for name, attack in ATTACKS.items() if attack.alone])
def test_an_attack_on_everybody(name, sandbox, course, tmp_path) -> None:
    members = [ATTACKS[name]]
    looks_right(graded(course, tmp_path, members, sandbox=sandbox), members, course, tmp_path, sandbox=sandbox)
