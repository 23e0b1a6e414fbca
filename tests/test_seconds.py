"""What takes long is marked so: tests/seconds.csv says how long each test took on a quiet machine."""

from pathlib import Path

import pytest
import seconds_of_tests
from helpers import COLLECTED, LONG_AND_KEPT
from seconds_of_tests import BANK_FROM, RECORDED_FROM, SLOW_FROM


def marked(item: pytest.Item, name: str) -> bool:
    return item.get_closest_marker(name) is not None


def test_what_takes_over_a_minute_is_left_to_make_bank(request: pytest.FixtureRequest) -> None:
    recorded = seconds_of_tests.read_record()
    long = [item for item in request.session.items if recorded.get(item.nodeid, 0) > BANK_FROM]
    long = [item for item in long if getattr(item, "originalname", "") not in LONG_AND_KEPT]
    assert [item.nodeid for item in long if not marked(item, "bank")] == []


def test_what_takes_seconds_is_left_out_of_make_check(request: pytest.FixtureRequest) -> None:
    recorded = seconds_of_tests.read_record()
    long = [item for item in request.session.items if recorded.get(item.nodeid, 0) > SLOW_FROM]
    assert [item.nodeid for item in long if not marked(item, "slow")] == []


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
<testcase classname="tests.test_cache" name="test_z" time="0.1"/>
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
