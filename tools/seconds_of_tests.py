"""Where the time of the tests goes: a table by part, and the seconds of each long test for tests/seconds.csv.

    python tools/seconds_of_tests.py build/seconds/*.xml             # print; `make test` ends with it
    python tools/seconds_of_tests.py build/seconds/*.xml --write     # and record, on a quiet machine

A run of pytest with ``--junitxml`` and ``-o junit_duration_report=total`` writes such a file; seconds are wall-clock
seconds of one worker, fixtures included. tests/conftest.py deals the longest tests out first by what is recorded, and
tests/test_seconds.py holds every recorded test to its mark.
"""

from __future__ import annotations

import csv
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Annotated

import typer

RECORD = Path(__file__).resolve().parents[1] / "tests" / "seconds.csv"
RECORDED_FROM = 0.1  # seconds; what is faster changes no order
SLOW_FROM = RECORDED_FROM  # from here on a test is left out of `make check`
BANK_FROM = 60.0  # a test above belongs out of `make test`

# The beginnings of the files' names, in the order in which they are asked.
PARTS = {
    "notebooks (strict nbval, memory)": ("tests/test_notebooks",),
    "notebooks on a broken package": ("tests/test_mutations",),
    "exercises: banks of answers": ("tests/exercises/",),
    "grading and its sandbox": ("tests/test_grade", "tests/test_sandbox"),
    "browser": ("tests/browser/",),
    "wheel and package": ("tests/test_package",),
    "documentation": ("tests/test_docs",),
    "backbones, text, FreezeLab, export": (
        "tests/test_backbones", "tests/test_text", "tests/test_freeze_lab", "tests/test_export",
    ),
    "audit, traps and diagnosis": ("tests/test_audit", "tests/test_diagnose", "tests/test_trap", "tests/test_check."),
    "everything else": ("",),
}  # fmt: skip


def read_junit(path: Path) -> dict[str, float]:
    """Seconds of each test of one run; what was broken off has none."""
    cases = [case.attrib for case in ET.parse(path).iter("testcase") if case.get("classname")]
    return {f"{case['classname'].replace('.', '/')}.py::{case['name']}": float(case["time"]) for case in cases}


def read_record() -> dict[str, float]:
    """Seconds of each recorded test on a quiet machine."""
    if not RECORD.is_file():
        return {}
    with RECORD.open(encoding="utf-8", newline="") as file:
        return {row["test"]: float(row["seconds"]) for row in csv.DictReader(file)}


def write_record(seconds: dict[str, float]) -> None:
    """Put new seconds into the record; what did not run keeps what it had."""
    rows = read_record() | {test: spent for test, spent in seconds.items() if spent >= RECORDED_FROM}
    rows = {test: spent for test, spent in rows.items() if seconds.get(test, spent) >= RECORDED_FROM}
    with RECORD.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["test", "seconds"])
        table.writerows((test, f"{spent:.1f}") for test, spent in sorted(rows.items()))


def part_of(test: str) -> str:
    return next(part for part, beginnings in PARTS.items() if test.startswith(beginnings))


def by_part(seconds: dict[str, float]) -> str:
    """A Markdown table: the parts, how many tests each has, their seconds in all, and the longest."""
    lines = ["| part | tests | seconds of one worker | longest test |", "|---|---|---|---|"]
    for part in PARTS:
        mine = {test: spent for test, spent in seconds.items() if part_of(test) == part}
        if mine:
            longest = max(mine, key=lambda test: mine[test])
            name = longest.split("::", 1)[1]
            lines.append(f"| {part} | {len(mine):,} | {sum(mine.values()):,.0f} | {mine[longest]:.0f}: `{name}` |")
    return "\n".join([*lines, f"| all | {len(seconds):,} | {sum(seconds.values()):,.0f} | |"])


def main(
    files: Annotated[list[Path], typer.Argument(help="What pytest --junitxml wrote.", exists=True, dir_okay=False)],
    write: Annotated[bool, typer.Option("--write", help="Record the seconds in tests/seconds.csv.")] = False,
    longest: Annotated[int, typer.Option(help="How many of the longest tests to list.", min=0)] = 10,
) -> None:
    """Say where the time of the tests went."""
    seconds: dict[str, float] = {}
    for file in files:
        seconds |= read_junit(file)
    typer.echo(by_part(seconds))
    for test in sorted(seconds, key=lambda test: -seconds[test])[:longest]:
        typer.echo(f"{seconds[test]:8.1f} s  {test}")
    if write:
        write_record(seconds)
        typer.echo(f"recorded in {RECORD.relative_to(Path.cwd()) if RECORD.is_relative_to(Path.cwd()) else RECORD}")


if __name__ == "__main__":
    sys.exit(typer.run(main))
