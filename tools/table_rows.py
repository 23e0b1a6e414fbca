"""The tables that tools measure and notebooks show: rows that come one by one, and a file that says how it was made."""

from __future__ import annotations

import datetime
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tlkit.tables import read_table


def best_setting(tried: Sequence[dict[str, Any]], *names: str) -> tuple[Any, ...]:
    """Of what was tried, the values of these columns with the best mean ``validation``; the smallest of several."""
    found: dict[tuple[Any, ...], list[float]] = {}
    for row in tried:
        found.setdefault(tuple(row[name] for name in names), []).append(row["validation"])
    return max(sorted(found), key=lambda setting: np.mean(found[setting]))


def store(rows: list[dict[str, Any]], path: Path, title: str, recipe: str) -> None:
    """Write a table with its recipe, command and date as comments in front."""
    command = shlex.join(["python", f"tools/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    about = {"table": title, "recipe": recipe, "command": command, "date": datetime.date.today().isoformat()}
    lines = [f"# {name}: {text}\n" for name, text in about.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines) + pd.DataFrame(rows).to_csv(index=False, float_format="%.4g"), encoding="utf-8")


class Rows:
    """A table that is written at each new row; rows that an earlier run left stay. ``names``: what tells rows apart."""

    def __init__(self, path: Path, title: str, recipe: str, *names: str) -> None:
        self.path, self.title, self.recipe, self.names = path, title, recipe, names
        self.rows: list[dict[str, Any]] = read_table(path).to_dict("records") if path.exists() else []

    def lacks(self, *key: Any) -> bool:
        """Whether no row has these values of the names, or of the first of them."""
        return all(tuple(row[name] for name in self.names[: len(key)]) != key for row in self.rows)

    def add(self, *rows: dict[str, Any]) -> None:
        self.rows += [row for row in rows if self.lacks(*(row[name] for name in self.names))]
        store(self.rows, self.path, self.title, self.recipe)
