"""A class at a glance: checks across, students down, the best first; what many have missed stands out as a column.

``tlkit grade`` writes it beside its tables. In a notebook::

    from IPython.display import HTML
    HTML(class_overview(read_checks("grades/checks_ps1.csv")))

Needs ``pip install 'tlkit[exercises]'``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["class_overview", "read_checks"]

_NEEDED = ("student", "check", "state", "points", "max_points")
_OTHER = ("assignment", "part", "reason", "tested_with", "tests_touched")
# A mark beside each colour: what a state looks like to those who see no colours, and in print.
_MARKS = {"passes": "✓", "partly": "½", "fails": "✗", "not tested": "–", "waits": "?"}


def read_checks(path: str | Path) -> pd.DataFrame:
    """The table ``checks_psN.csv`` of ``tlkit grade``; names such as ``007`` and ``NA`` stay text."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return table.astype({name: float for name in ("points", "max_points") if name in table})


def class_overview(checks: pd.DataFrame, links: Mapping[str, str] | None = None) -> str:
    """A page that shows who passes what, with the share of the class that passes each check.

    Students with most points stand first, and those who fail the same checks beside each other.

    Args:
        checks: A row for each student and check, as :func:`read_checks` gives it. It needs ``student``, ``check``,
            ``state`` (``"passes"``, ``"partly"``, ``"fails"``, ``"not tested"`` or ``"waits"``), ``points`` and
            ``max_points``; ``part`` groups the checks, and the other columns say more where the mouse rests.
        links: Where a student's name leads to, for those who have something there.

    Returns:
        HTML, a whole page. It has no scripts, and loads nothing.

    Raises:
        ValueError: A column is missing, there is no row, a state is none of these, or a student has a check twice.
    """
    from jinja2 import Environment, FileSystemLoader

    _check(checks)
    table = checks.assign(**{name: "" for name in _OTHER if name not in checks})
    columns = [_column(name, rows) for name, rows in table.groupby("check", sort=False)]
    names = [column["name"] for column in columns]
    students = [_row(name, rows.set_index("check"), names) for name, rows in table.groupby("student", sort=False)]
    students.sort(key=lambda row: (-row["points"], row["pattern"], row["name"]))
    hardest = sorted((column for column in columns if column["share"] is not None), key=lambda column: column["share"])
    parts: list[dict[str, Any]] = []
    for column in columns:
        if not parts or parts[-1]["name"] != column["part"]:
            parts.append({"name": column["part"], "width": 0})
        column["first"] = parts[-1]["width"] == 0
        parts[-1]["width"] += 1
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    return templates.get_template("overview.html.j2").render(
        title=" ".join(dict.fromkeys(table["assignment"])) or "A class",
        columns=columns,
        parts=parts,
        students=students,
        hardest=", ".join(f"{one['name']} ({100 * one['share']:.0f} %)" for one in hardest[:3] if one["share"] < 1),
        median=pd.Series([row["points"] for row in students]).median(),
        total=sum(column["points"] for column in columns),
        flagged=[row for row in students if row["touched"]],
        marks=_MARKS,
        links=links or {},
    )


def _check(checks: pd.DataFrame) -> None:
    if missing := [name for name in _NEEDED if name not in checks]:
        raise ValueError(f"checks must have the columns {', '.join(_NEEDED)}, got none named {', '.join(missing)}.")
    if checks.empty:
        raise ValueError("checks must hold a row for each student and check, got none.")
    if unknown := sorted(set(checks["state"]) - set(_MARKS)):
        raise ValueError(f"a state must be one of {', '.join(_MARKS)}, got {unknown[0]!r}.")
    if checks.duplicated(["student", "check"]).any():
        twice = checks[checks.duplicated(["student", "check"])].iloc[0]
        raise ValueError(f"a student must have each check once, got {twice['check']!r} of {twice['student']!r} twice.")


def _column(name: Any, rows: pd.DataFrame) -> dict[str, Any]:
    """A check: its part, its points, and the share of those who pass it among all whom nobody has to grade first."""
    graded = rows[rows["state"] != "waits"]
    return {
        "name": str(name),
        "part": str(rows["part"].iloc[0]),
        "points": float(rows["max_points"].max()),
        "share": float((graded["state"] == "passes").mean()) if len(graded) else None,
    }


def _row(name: Any, rows: pd.DataFrame, checks: list[str]) -> dict[str, Any]:
    """A student: points, and a cell for each check."""
    cells = [_cell(check, rows.loc[check]) if check in rows.index else None for check in checks]
    return {
        "name": str(name),
        "points": float(rows["points"].sum()),
        "touched": str(rows["tests_touched"].iloc[0]),
        "cells": cells,
        # Equal patterns come together; of those with as many points, who fails late comes first.
        "pattern": [0 if cell is None else list(_MARKS).index(cell["state"]) for cell in cells],
    }


def _cell(check: str, row: Any) -> dict[str, Any]:
    state, lent, reason = str(row["state"]), str(row["tested_with"]), str(row["reason"])
    said = f"{check}: {state}"
    if lent:
        said += f", tested with the course's {', '.join(lent.split())} in place of the student's, which lost points"
    return {"state": state, "lent": bool(lent), "said": f"{said}. {reason}".strip()}
