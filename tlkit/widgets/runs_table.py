"""The table of FreezeLab's runs: sorted by a press on a column, a run's settings restored by a press on its number."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import ipywidgets
import pandas as pd

from tlkit.widgets.theme import escape

__all__ = ["RUNS_STYLE", "RunsTable", "epochs_in_words", "shown_columns", "shown_texts", "titles"]

# All columns stand in FreezeLab.results; here those of the middle are shown where runs differ in them.
_FIRST, _LAST = ("frozen", "labels", "epochs"), ("target", "source", "seconds")
_DIFFERING = ("batchnorm", "head_rate", "base_rate", "order", "views", "start")
_COLUMNS = ("run", *_FIRST, *_DIFFERING, *_LAST)
_TITLES = {"batchnorm": "BatchNorm", "head_rate": "rate, head", "base_rate": "rate, base"}  # as beside the sliders
_WORDS = ("frozen", "batchnorm", "order", "start")
_RUN_WIDTH, _WIDTHS = (
    "46px",
    {
        "frozen": "minmax(100px, 1.4fr)",
        "order": "minmax(76px, 1.2fr)",
        "start": "minmax(76px, 1.2fr)",
    },
)
SHOWN_RUNS = 12

RUNS_STYLE = """
.tlkit-run { align-items: center; border-bottom: 1px solid var(--tlkit-line); }
.tlkit-run, .tlkit-cells .tlkit-grid { display: grid; }
.tlkit-run > * { margin: 0 2px; } .tlkit-run button { width: auto; min-width: 0; padding: 0 3px; text-align: right; }
.tlkit-run.tlkit-head button { font-size: 12px; padding: 0 1px; background: none;
  color: var(--tlkit-quiet); box-shadow: none; }
.tlkit-cells { grid-column: 2 / -1; }
.tlkit-cells .tlkit-grid { text-align: right; font-variant-numeric: tabular-nums; }
.tlkit-csv a { color: var(--tlkit-source); text-decoration: underline; }
"""


def shown_columns(table: pd.DataFrame) -> tuple[str, ...]:
    """The columns of a table of runs that tell them apart, without the run's number."""
    differing = [column for column in _DIFFERING if len(set(table[column])) > 1]
    return (*_FIRST, *differing, *_LAST)


def titles(columns: Iterable[str], source: str) -> list[str]:
    """What columns are called; ``source`` is the name of the source's."""
    names = _TITLES | {"source": source}
    return [names.get(column, column) for column in columns]


def shown_texts(table: pd.DataFrame, columns: Iterable[str], done: Mapping[int, float]) -> list[list[str]]:
    """A list of cells for each row.

    Args:
        done: For the number of each run, its epochs; of one that was stopped they are shown.
    """
    forms = {"target": "{:.3f}", "source": "{:.3f}", "seconds": "{:.1f}", "head_rate": "{:.3g}", "base_rate": "{:.3g}"}
    rows = []
    for row in table.to_dict("records"):
        texts = {column: forms.get(column, "{}").format(row[column]).replace("e-0", "e-") for column in columns}
        if row["stopped"]:
            texts["epochs"] = f"{epochs_in_words(done[row['run']])} of {row['epochs']}"
        rows.append(list(texts.values()))
    return rows


def epochs_in_words(epochs: float) -> str:
    """``7`` or ``7.3``."""
    return f"{epochs:.1f}".removesuffix(".0")


class RunsTable(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """One row per run, the last one first until a column is pressed.

    Args:
        restore: Called with a run's number when that is pressed.
        source: What the column of the source's score is called.
    """

    def __init__(self, restore: Callable[[int], None], *, source: str = "source") -> None:
        self._restore, self._source = restore, source
        self._sort: tuple[str, bool] = ("run", False)
        self._table = pd.DataFrame()
        self._done: Mapping[int, float] = {}
        self._rows: list[tuple[Any, Any]] = []
        self._titles: dict[str, Any] = {}
        self._grid = ipywidgets.VBox([self._header()])
        self._csv = ipywidgets.HTML().add_class("tlkit-csv")
        super().__init__([self._grid, self._csv])
        self.add_class("tlkit-runs")

    def show(self, table: pd.DataFrame, done: Mapping[int, float]) -> None:
        """Show the runs of a table such as ``FreezeLab.results``; ``done`` are their epochs, by their numbers."""
        self._table, self._done = table, done
        column, ascending = self._sort
        shown = table.assign(epochs=table["run"].map(done)) if column == "epochs" else table
        shown = table.loc[shown.sort_values(column, ascending=ascending, kind="stable").index[:SHOWN_RUNS]]
        columns = shown_columns(table)
        widths = self._lay_out(columns)
        while len(self._rows) < len(shown):
            self._rows.append(self._row(len(self._rows)))
            self._grid.children = (*self._grid.children, self._rows[-1][0])
        texts = shown_texts(shown, columns, done)
        for (box, cells), number, row in zip(self._rows, shown["run"], texts, strict=False):
            box.layout.grid_template_columns = f"{_RUN_WIDTH} {widths}"
            box.children[0].description = f"{number} ↺"
            box.children[0].tooltip = f"take the settings of run {number} again"
            row_html = "".join(f"<span>{escape(text)}</span>" for text in row)
            cells.value = f'<div class="tlkit-grid" style="grid-template-columns: {widths}">{row_html}</div>'
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
        self._sort = (column, not ascending if column == name else column in _WORDS)
        if len(self._table):
            self.show(self._table, self._done)

    def shown(self) -> list[int]:
        """The numbers of the runs, from the top."""
        return [int(box.children[0].description.split()[0]) for box, _ in self._rows]

    def _header(self) -> Any:
        for column, name in zip(_COLUMNS, titles(_COLUMNS, self._source), strict=True):
            button = ipywidgets.Button(description=name, tooltip=f"sort by {name}; again: the other way round")
            button.add_class(f"tlkit-sort-{column}")
            button.on_click(lambda _, column=column: self.sort_by(column))
            self._titles[column] = button
        self._head = ipywidgets.Box(list(self._titles.values())).add_class("tlkit-run").add_class("tlkit-head")
        self._lay_out((*_FIRST, *_LAST))
        return self._head

    def _lay_out(self, columns: Sequence[str]) -> str:
        """Show the titles of these columns; returns the columns' widths, as CSS has them."""
        widths = " ".join(_WIDTHS.get(column, "minmax(58px, 1fr)") for column in columns)
        self._head.layout.grid_template_columns = f"{_RUN_WIDTH} {widths}"
        for column, button in self._titles.items():
            button.layout.display = "" if column in ("run", *columns) else "none"
        return widths

    def _row(self, place: int) -> tuple[Any, Any]:
        button, cells = ipywidgets.Button(), ipywidgets.HTML()
        button.add_class("tlkit-restore")
        button.on_click(lambda _: self._restore(int(button.description.split()[0])))
        cells.add_class("tlkit-cells")
        box = ipywidgets.Box([button, cells])
        return box.add_class("tlkit-run").add_class(f"tlkit-row-{place + 1}"), cells
