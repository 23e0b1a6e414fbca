"""Results that take longer than a notebook may: measured once by a script, stored with its command and the date.

Each table is a CSV file beside this one whose first lines are comments, ``# name: text``. They say what the table
holds, with which recipe and command it was made, and when. A test measures a part of each anew.

One table is written by hand: ``article_claims`` holds the verdicts of notebook 09. Two are data and no results, with
licences of their own (``LICENSES.txt``): ``patients`` and ``loans`` (``tools/make_cohorts.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from tlkit.words import nearest_name

__all__ = ["FOLDER", "read_table", "stored_table", "table_names"]

FOLDER = Path(__file__).parent


def table_names() -> tuple[str, ...]:
    """The names of all stored tables."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.csv")))


def stored_table(name: str, *, draws: Iterable[int] | None = None) -> pd.DataFrame:
    """The table ``name``; its ``attrs`` hold what was said of it: ``table``, ``recipe``, ``command``, ``date``.

    Args:
        name: One of :func:`table_names`.
        draws: Only the rows of these draws, by the column ``draw``; ``None`` takes all rows.

    Raises:
        ValueError: There is no table of that name, or it has no draws.
    """
    if name not in table_names():
        raise ValueError(f"name must be {nearest_name(name, table_names())}")
    rows = read_table(FOLDER / f"{name}.csv")
    if draws is None:
        return rows
    if "draw" not in rows:
        raise ValueError(f"draws must be None for {name!r}, which has no column 'draw', got {draws!r}.")
    return rows[rows["draw"].isin(list(draws))]


def read_table(path: Path) -> pd.DataFrame:
    """A table from anywhere, as :func:`stored_table` gives it."""
    rows = pd.read_csv(path, comment="#")
    lines = path.read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line.startswith("# "):
            name, text = line.removeprefix("# ").split(": ", 1)
            rows.attrs[name] = text
    return rows
