"""The bank of attacks (tests/exercises/attacks): what each gets from the grader, with the sandbox and without it.

Each class is graded by the command, with honest students before, between and after those who attack.
"""

import contextlib
import html
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import nbformat
import numpy as np
import pytest
from helpers import ROOT

from tlkit._keras import keras
from tlkit.grading import check_example
from tlkit.grading.course import course_api
from tlkit.grading.examiner import student_sandbox
from tlkit.grading.feedback import safe_html, safe_markdown
from tlkit.grading.landlock import landlock_version
from tlkit.grading.limits import limited, limits_elsewhere
from tlkit.grading.meter import _CLOCK_MORE, _CLOCK_TIMES
from tlkit.grading.peer import Peer, Unreadable
from tlkit.grading.wire import Gone, Wire, unpack
from tlkit.grading.worker import _GRACE

sys.path.insert(0, str(ROOT / "tests" / "exercises"))

pytest.importorskip("nbgrader", reason="needs tlkit[exercises]")
import attacks as bank
import attacks_on_nbgrader
from attacks import Attack, Graded

ATTACKS = bank.attacks()
# `make test` runs these: what had broken through before, and what would stop a class.
SAMPLE = (
    "moves_tests_down",
    "reads_the_notebook_beside_it",
    "forges_calls",
    "has_a_test_without_text",
    "writes_scripts",
    "writes_formulas",
)
# By the clock, however busy the machine is: the limit on a submission, what nbgrader has then to write down its grades,
# and a second try.
LONGEST = 2 * sum(_CLOCK_TIMES * seconds + _CLOCK_MORE for seconds in (bank.SECONDS, _GRACE))
OTHERS = frozenset({"changes", "harms", "sends"})  # what is done to others, and seen in the class
needs_sandbox = pytest.mark.skipif(not student_sandbox(), reason="needs bubblewrap, and the right to use it")
needs_landlock = pytest.mark.skipif(not landlock_version(), reason="needs Linux with Landlock")
MODES = [
    pytest.param(bank.BUBBLEWRAP, marks=needs_sandbox),
    pytest.param(bank.LANDLOCK, marks=needs_landlock),
    pytest.param(bank.FENCE, marks=pytest.mark.skipif(sys.platform != "linux", reason="hides Landlock with a filter")),
]


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    return bank.make_course(tmp_path_factory.mktemp("attacked") / "course")


def graded(course: Path, place: Path, members: list[Attack], held_by: str, workers: int = 2) -> Graded:
    bank.make_class(course, place / "class", members)
    shutil.copytree(course, place / "out")  # the assignment is released in it already
    return bank.grade_class(course, place / "class", place / "out", held_by, workers)


def test_the_bank_is_rich_enough() -> None:
    cells = set(bank.read_attack(bank.ATTACKS / "weak.py").parts)
    assert len(ATTACKS) >= 60
    for attack in ATTACKS.values():
        assert attack.text.endswith(".")
        assert attack.parts
        assert attack.parts.keys() <= cells | {"notebook", "files"}
    assert set(SAMPLE) <= ATTACKS.keys()


def test_the_documentation_says_what_each_attack_comes_to() -> None:
    """`python tools/attacks_on_nbgrader.py --table` prints it."""
    assert attacks_on_nbgrader.table() in (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def looks_right(found: Graded, members: list[Attack], course: Path, place: Path, held_by: str) -> None:
    """Each attack has got what its file says of it, and nobody else has lost anything unless it says so."""
    assert found.returncode == 0, found.stderr
    for attack in members:
        may = attack.does[held_by] - OTHERS
        besides = attack.as_root if held_by == bank.FENCE and os.name == "posix" and os.geteuid() == 0 else frozenset()
        got = bank.effects(found, attack)
        assert may <= got <= may | besides, (attack.name, got)
    may = frozenset().union(*(attack.does[held_by] for attack in members)) & OTHERS
    got = bank.effects_on_others(found, course, place / "class")
    assert got <= may, (got, found.changed, found.alive)
    assert bool(got) == bool(may)
    if "harms" not in may:  # whom it hits is chance
        assert {check: points for check, points in found.points["weak"].items() if points} == bank.WEAK
    assert max(row.get("seconds", 0) for row in found.log) < LONGEST
    assert {row["held_by"] for row in found.log if row.get("held_by")} <= {held_by}
    no_page_tells_or_runs(found.out)


def no_page_tells_or_runs(out: Path) -> None:
    """Neither feedback nor formgrader's pages hold a script of a student's, and no feedback a hidden test."""
    exporter = exporter_of_formgrader(out)
    for path in out.glob("feedback/*/ps1/*.html"):
        page = path.read_text(encoding="utf-8")
        assert f"{bank.CANARY}-TEST" not in html.unescape(re.sub(r"<[^>]+>", "", page)), path
        assert bank.live_scripts(page) == [], path
    for path in out.glob("autograded/writes_scripts/ps1/*.ipynb"):
        page, _ = exporter.from_notebook_node(nbformat.read(path, as_version=4))
        assert bank.live_scripts(page) == []


def exporter_of_formgrader(out: Path):
    from nbconvert.exporters import HTMLExporter

    return HTMLExporter(config=course_api(out / "nbgrader_config.py", out).config)


@pytest.mark.slow
@needs_sandbox
def test_what_had_broken_through_does_not(course, tmp_path) -> None:
    members = [ATTACKS[name] for name in SAMPLE]
    found = graded(course, tmp_path, members, bank.BUBBLEWRAP, workers=1)  # all through the same process
    looks_right(found, members, course, tmp_path, bank.BUBBLEWRAP)
    (row,) = (row for row in found.log if row["student"] == "moves_tests_down")
    assert row["tests_touched"].startswith("test cells moved ")


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.parametrize("held_by", MODES)
def test_a_class_of_attackers(held_by, course, tmp_path) -> None:
    members = [
        one for one in ATTACKS.values() if not one.alone and (held_by == bank.BUBBLEWRAP or not one.sandbox_only)
    ]
    looks_right(graded(course, tmp_path, members, held_by), members, course, tmp_path, held_by)


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.parametrize("held_by", MODES)
@pytest.mark.parametrize("name", [name for name, attack in ATTACKS.items() if attack.alone])
def test_an_attack_on_everybody(name, held_by, course, tmp_path) -> None:
    members = [ATTACKS[name]]
    looks_right(graded(course, tmp_path, members, held_by), members, course, tmp_path, held_by)


# The channel


@pytest.fixture
def examiner(tmp_path, monkeypatch) -> Iterator[tuple[Peer, Wire]]:
    """The examiner's end of a channel, which waits for nobody long, and the student's wire."""
    monkeypatch.setattr("tlkit.grading.peer._GRACE", 0.2)
    monkeypatch.setattr("tlkit.grading.peer._MOST_FILES", 20)
    (to_student, from_examiner), (to_examiner, from_student) = ([*reversed(os.pipe())] for _ in range(2))

    def overdue(again: bool) -> None:
        if again:
            raise Gone("it did not stop")

    wire = Wire(to_student, from_student)
    wire.listen()
    shared = tmp_path / "shared"
    shared.mkdir()
    yield Peer(wire, 0, shared, overdue=overdue), Wire(to_examiner, from_examiner)
    for descriptor in (to_student, from_examiner, to_examiner):
        with contextlib.suppress(OSError):
            os.close(descriptor)


@pytest.mark.parametrize(
    "tree",
    [
        {"~": "range", "items": [0, 10**12, 1]},
        {"~": "rng", "kind": "MT19937", "state": {"~": "dict", "items": []}},
        {"~": "rng", "kind": "Philox", "state": {"~": "dict", "items": []}},
        {"~": "path", "below": "private", "files": [["private", b"x"]]},
        {"~": "path", "below": "../private", "files": [["../private", b"x"]]},
        {"~": "path", "below": "/private", "files": [["/private", b"x"]]},
        {"~": "path", "below": "deep", "files": [["/".join("a" * 50), None]]},
        {"~": "path", "below": "a", "files": [[f"a/{number}", None] for number in range(300)]},
        {"~": "yours", "id": 0},
        {"~": "function", "id": "x", "name": "f"},
        {"~": "model"},
        {"~": []},
        [1],
    ],
    ids=lambda tree: str(tree)[:50],
)
def test_what_the_channel_refuses(tree, examiner) -> None:
    peer, _ = examiner
    (peer.files / "private").write_text("ours", encoding="utf-8")
    with pytest.raises(Unreadable):
        peer.decode(tree)
    assert (peer.files / "private").read_text(encoding="utf-8") == "ours"


def test_files_are_written_where_a_check_has_handed_a_folder_over(examiner) -> None:
    peer, _ = examiner
    (peer.files / "given").mkdir()
    peer.encode(peer.files / "given")
    for name in ("given/new", "mine/new"):  # what the student makes itself is welcome, under a name that is free
        assert peer.decode({"~": "path", "below": name, "files": [[name, b"x"]]}).read_bytes() == b"x"


def test_no_path_leads_the_examiner_out(examiner, tmp_path) -> None:
    peer, student = examiner
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    assert "files" not in peer.encode(peer.files / ".." / "secret")
    peer.encode(lambda path: path.read_text())  # a function of ours, number 0
    for path in (tmp_path / "secret", peer.files / ".." / "secret", Path(os.devnull)):
        tree = {"~": "path", "path": str(path)}
        peer.serve({"n": 1, "do": "call", "what": {"function": 0}, "arguments": [tree]})
        reply = student.receive()
        assert (reply["do"], "not handed over" in reply["words"]) == ("failed", True)


def test_one_message_is_not_made_a_thousand(examiner) -> None:
    head = {"~": "array", "dtype": "|u1", "shape": [8], "at": 0, "size": 8}
    text = json.dumps([head, head]).encode()
    with pytest.raises(Gone):
        unpack(len(text).to_bytes(8, "little") + text + bytes(8))


def test_messages_wait_at_the_student_s_end(examiner) -> None:
    _, student = examiner
    sent = []

    def flood() -> None:
        with contextlib.suppress(Gone):
            for number in range(1000):
                student.send({"n": -1, "value": bytes(2**20)})
                sent.append(number)

    Thread(target=flood, daemon=True).start()
    time.sleep(1)
    assert len(sent) < 10


@pytest.mark.parametrize("message", [{"do": "call", "what": {}, "arguments": []}, {"do": "done", "n": -5}])
def test_who_talks_without_end_is_told_to_stop(message, examiner) -> None:
    peer, student = examiner

    def talk() -> None:
        with contextlib.suppress(Gone):
            while True:
                student.send(message)

    Thread(target=talk, daemon=True).start()
    Thread(target=_swallow, args=(student,), daemon=True).start()
    start = time.monotonic()
    with limits_elsewhere(), limited(0.5), pytest.raises(Gone):
        peer.ask({"name": "softmax"}, [])
    assert time.monotonic() - start < 15


def _swallow(wire: Wire) -> None:
    with contextlib.suppress(Gone):
        while True:
            wire.receive()


def test_a_result_is_looked_at_before_it_is_made_python_s() -> None:
    with pytest.raises(AssertionError, match="at most 10,000,000 numbers"):
        check_example(lambda: np.broadcast_to(np.uint8(0), (4 * 10**8,)), (), 0.0, reread="x")


def test_models_that_are_not_the_student_s_are_not_set(examiner) -> None:
    peer, _ = examiner
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="d")])
    peer._active.append(set())
    number = peer.encode(model)["id"]
    before = model.get_weights()
    state = {"flags": [], "weights": [[["d"], [np.ones((2, 1), "float32"), np.ones(1, "float32")], [True, True]]]}
    peer._active.clear()
    with pytest.raises(Unreadable):
        peer._put_states({"states": [[number, state]]})
    assert all((one == other).all() for one, other in zip(before, model.get_weights(), strict=True))
    described = {"id": number, "config": json.dumps(keras.saving.serialize_keras_object(model)), "paths": []}
    with pytest.raises(ValueError, match="cannot be built again"):
        peer.mirrors.build(described | {"state": {"flags": [], "weights": []}})
    assert peer.mirrors[number] is model


def test_html_runs_nothing_and_tables_stay() -> None:
    shown = "<table><thead><tr><th>a</th></tr></thead></table>"
    assert safe_html(shown) == shown
    for bad in (
        "<script>x()</script>",
        "<img src=x onerror=x()>",
        '<a href="data:text/html,x">x</a>',
        "<svg onload=x()>",
    ):
        assert not re.search(r"<(script|svg)|<[^>]*(onerror|data:)", safe_html(bad)), bad
    assert "<script" not in safe_markdown("# a\n<script>x()</script> [x](javascript:x())")
    assert "javascript:" not in safe_markdown("[x](javascript:x())")
    assert "data:image/png" in safe_html('<img src="data:image/png;base64,AA==">')
