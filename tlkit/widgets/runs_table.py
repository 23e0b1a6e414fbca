"""The table of FreezeLab's runs: sorted by a press on a column, a run's settings restored by a press on its number."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import ipywidgets
import pandas as pd

from tlkit.widgets.theme import escape

__all__ = ["COLUMNS", "RUNS_STYLE", "RunsTable"]

# What fits on the screen beside the run's number; FreezeLab.results has all columns.
COLUMNS = ("frozen", "labels", "epochs", "order", "views", "target", "source", "seconds")
SHOWN_RUNS = 12

RUNS_STYLE = """
.tlkit-run { display: grid; min-width: 560px; align-items: center; overflow: visible;
  grid-template-columns: 46px minmax(96px, 1.4fr) repeat(5, minmax(52px, 1fr)) minmax(76px, 1.2fr) minmax(56px, 1fr);
  border-bottom: 1px solid var(--tlkit-line); }
.tlkit-run > * { margin: 0 2px; } .tlkit-run button { width: auto; min-width: 0; padding: 0 3px; text-align: right; }
.tlkit-run.tlkit-head button { font-size: 12px; padding: 0 1px; background: none;
  color: var(--tlkit-quiet); box-shadow: none; }
.tlkit-cells { grid-column: 2 / -1; } .tlkit-cells .tlkit-grid { display: grid; text-align: right;
  grid-template-columns: minmax(96px, 1.4fr) repeat(5, minmax(52px, 1fr)) minmax(76px, 1.2fr) minmax(56px, 1fr);
  font-variant-numeric: tabular-nums; }
.tlkit-csv a { color: var(--tlkit-source); text-decoration: underline; }
"""


class RunsTable(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """A row a run, the last one first until a column is pressed.

    Args:
        restore: Called with a run's number when that is pressed.
        source: What the column of the source's score is called.
    """

    def __init__(self, restore: Callable[[int], None], *, source: str = "source") -> None:
        self._restore, self._source = restore, source
        self._sort: tuple[str, bool] = ("run", False)
        self._table = pd.DataFrame()
        self._rows: list[tuple[Any, Any]] = []
        self._grid = ipywidgets.VBox([self._header()])
        self._csv = ipywidgets.HTML().add_class("tlkit-csv")
        super().__init__([self._grid, self._csv])
        self.add_class("tlkit-runs")

    def show(self, table: pd.DataFrame) -> None:
        """Show the runs of a table with ``run``, ``stopped`` and the columns of ``COLUMNS``."""
        self._table = table
        column, ascending = self._sort
        shown = table.sort_values(column, ascending=ascending, kind="stable").head(SHOWN_RUNS)
        while len(self._rows) < len(shown):
            self._rows.append(self._row(len(self._rows)))
            self._grid.children = (*self._grid.children, self._rows[-1][0])
        for (box, cells), row in zip(self._rows, shown.to_dict("records"), strict=False):
            box.children[0].description = f"{row['run']} ↺"
            box.children[0].tooltip = f"take the settings of run {row['run']} again"
            cells.value = f'<div class="tlkit-grid">{"".join(f"<span>{text}</span>" for text in _texts(row))}</div>'
        csv = base64.b64encode(table.to_csv(index=False).encode()).decode()
        rest = (
            f"{len(shown)} of {len(table)} runs; all are in <code>lab.results</code>. "
            if len(table) > SHOWN_RUNS
            else ""
        )
        self._csv.value = (
            f'<span class="tlkit-quiet">{rest}</span><a download="freezelab.csv" href="data:text/csv;base64,{csv}">'
            "all runs as CSV</a>"
        )

    def sort_by(self, column: str) -> None:
        """Sort by a column, from the largest down (words from A on); a second time the other way round."""
        name, ascending = self._sort
        self._sort = (column, not ascending if column == name else column in ("frozen", "order"))
        if len(self._table):
            self.show(self._table)

    def shown(self) -> list[int]:
        """The numbers of the runs, from the top."""
        return [int(box.children[0].description.split()[0]) for box, _ in self._rows]

    def _header(self) -> Any:
        buttons = []
        for column in ("run", *COLUMNS):
            name = self._source if column == "source" else column
            button = ipywidgets.Button(description=name, tooltip=f"sort by {name}; again: the other way round")
            button.add_class(f"tlkit-sort-{column}")
            button.on_click(lambda _, column=column: self.sort_by(column))
            buttons.append(button)
        return ipywidgets.Box(buttons).add_class("tlkit-run").add_class("tlkit-head")

    def _row(self, place: int) -> tuple[Any, Any]:
        button, cells = ipywidgets.Button(), ipywidgets.HTML()
        button.add_class("tlkit-restore")
        button.on_click(lambda _: self._restore(int(button.description.split()[0])))
        cells.add_class("tlkit-cells")
        box = ipywidgets.Box([button, cells])
        return box.add_class("tlkit-run").add_class(f"tlkit-row-{place + 1}"), cells


def _texts(row: dict[Any, Any]) -> list[str]:
    forms = {"target": "{:.3f}", "source": "{:.3f}", "seconds": "{:.1f}"}
    texts = [escape(forms.get(column, "{}").format(row[column])) for column in COLUMNS]
    if row["stopped"]:
        texts[COLUMNS.index("epochs")] += " (stopped)"
    return texts
