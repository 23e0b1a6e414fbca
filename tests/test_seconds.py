"""What takes long is marked so: tests/seconds.csv says how long each test took on a quiet machine."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import seconds_of_tests
from helpers import ROOT
from marks import COLLECTED
from seconds_of_tests import RECORDED_FROM

# A test of each kind: seconds in the record, and what it is marked as then.
KINDS = {
    "tests/browser/test_a.py::test_click": (50.0, ["slow"]),
    "tests/test_a.py::test_quick": (0.05, []),
    "tests/test_a.py::test_slow[x]": (0.5, ["slow"]),
    "tests/test_b.py::test_long[x]": (61.0, ["slow", "bank"]),
    "tests/test_c.py::test_new": (None, []),
    "tests/test_notebooks.py::test_short[x]": (3.0, ["slow"]),
    "tests/test_notebooks.py::test_strict_nbval_within_binders_memory[05]": (300.0, ["slow"]),  # LONG_AND_KEPT
    "tests/browser/test_b.py::test_press": (20.0, ["slow"]),
}


def collected(nodeid: str, marks: list[str]) -> SimpleNamespace:
    name = nodeid.split("::")[1].split("[")[0]
    return SimpleNamespace(nodeid=nodeid, originalname=name, add_marker=marks.append)


def test_what_takes_long_is_marked_and_dealt_out_first(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    conftest = request.config.pluginmanager.get_plugin(str(ROOT / "tests" / "conftest.py"))
    monkeypatch.setattr(conftest, "read_record", lambda: {test: n for test, (n, _) in KINDS.items() if n is not None})
    marks: dict[str, list[str]] = {test: [] for test in KINDS}
    items = [collected(test, marks[test]) for test in KINDS]
    config = SimpleNamespace(stash=pytest.Stash())
    conftest.pytest_collection_modifyitems(config, items)
    assert marks == {test: wanted for test, (_, wanted) in KINDS.items()}
    assert config.stash[COLLECTED] == set(KINDS)
    # Files whole, by all of their seconds, but notebooks one by one, and the browser's files together.
    assert [item.nodeid.removeprefix("tests/test_") for item in items] == [
        "notebooks.py::test_strict_nbval_within_binders_memory[05]",
        "tests/browser/test_a.py::test_click",
        "tests/browser/test_b.py::test_press",
        "b.py::test_long[x]",
        "notebooks.py::test_short[x]",
        "a.py::test_quick",
        "a.py::test_slow[x]",
        "c.py::test_new",
    ]


def test_nothing_is_recorded_that_is_no_test(request: pytest.FixtureRequest) -> None:
    if any("::" in argument for argument in request.config.args):
        pytest.skip("only a part of a file was collected")
    collected = request.config.stash[COLLECTED]
    files = {test.split("::")[0] for test in collected}
    recorded = {test for test in seconds_of_tests.read_record() if test.split("::")[0] in files}
    assert recorded - collected == set(), "take these lines out of tests/seconds.csv"


JUNIT = """<testsuites><testsuite>
<testcase classname="tests.exercises.test_banks" name="test_x[ps1/right/a]" time="{bank}"/>
<testcase classname="tests.test_cache" name="test_y" time="{cache}"/>
<testcase classname="tests.test_cache" name="test_z" time="0.01"/>
</testsuite></testsuites>"""


def junit(folder: Path, *, bank: float, cache: float) -> Path:
    path = folder / "run.xml"
    path.write_text(JUNIT.format(bank=bank, cache=cache), encoding="utf-8")
    return path


def test_a_run_is_read_and_told_by_part(tmp_path: Path) -> None:
    seconds = seconds_of_tests.read_junit(junit(tmp_path, bank=7.25, cache=2))
    assert seconds["tests/exercises/test_banks.py::test_x[ps1/right/a]"] == 7.25
    assert seconds["tests/test_cache.py::test_y"] == 2
    table = seconds_of_tests.by_part(seconds)
    assert "| exercises: banks of answers | 1 | 7 |" in table
    assert "| everything else | 2 | 2 | 2: `test_y` |" in table
    assert "| all | 3 | 9 |" in table


def test_the_record_follows_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seconds_of_tests, "RECORD", tmp_path / "seconds.csv")
    assert seconds_of_tests.read_record() == {}
    old = {"tests/test_cache.py::test_z": 9.0, "tests/test_cache.py::for_bank": 70.0, "tests/test_other.py::t": 3.0}
    seconds_of_tests.write_record(old)
    assert seconds_of_tests.read_record() == old
    seconds_of_tests.write_record(seconds_of_tests.read_junit(junit(tmp_path, bank=7, cache=RECORDED_FROM)))
    assert seconds_of_tests.read_record() == {
        "tests/exercises/test_banks.py::test_x[ps1/right/a]": 7.0,
        "tests/test_cache.py::for_bank": 70.0,  # did not run; test_z did, and has become too fast to matter
        "tests/test_cache.py::test_y": RECORDED_FROM,
        "tests/test_other.py::t": 3.0,
    }
