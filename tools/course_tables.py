"""Measure what a notebook has no time for: all of its draws of the labels, by the notebook's own cells.

    python tools/course_tables.py                    # all tables, into tlkit/tables
    python tools/course_tables.py 05                 # those of one notebook
    python tools/course_tables.py 05 --out FOLDER    # elsewhere

A notebook that reads such a table trains `LIVE` draws itself, one as a rule, and takes the others from the table. What
takes too long for that has `LONG` live draws, none as a rule. Here both become `DRAWS`, the notebook is run from top to
bottom with all its asserts, and the rows that it has collected are stored. Cells that compare with the stored table are
left out. A table begins with comment lines: what it is, the recipe, the command and the date.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import nbformat
import pandas as pd
import typer
from build_notebooks import NOTEBOOKS, read_source, sources
from nbclient import NotebookClient
from table_rows import store

from tlkit.tables import FOLDER

LIVE = re.compile(r"^(LIVE|LONG) = \d+\b", flags=re.MULTILINE)
COMPARES = "compares-with-stored"  # tag of a cell that a new table may contradict


@dataclass(frozen=True)
class Table:
    """What a notebook collects under a name, and what is said of it."""

    name: str
    variable: str
    title: str
    recipe: str


TABLES = {
    "02": (
        Table(
            "framing_and_methods",
            "here",
            "accuracy on 800 test images of a target, by framing, draw and what is done about the shift",
            "notebook 02: a probe on 1,000 printed digits, 500 unlabelled target images or 10 labels per class",
        ),
    ),
    "03": (
        Table(
            "few_shots",
            "shots_here",
            "test accuracy of a linear probe by target, method, draw and number of labels",
            "notebook 03: 1 to 50 labels per class of mnist and of optdigits, each draw nested",
        ),
        Table(
            "thousand_source_images",
            "here",
            "accuracy on printed digits after training on 1,000 of them, and of a probe on its features of mnist",
            "notebook 03: a ResNet from scratch, Adam, 8 epochs, rate 0.001; then 10 labels per class of mnist",
        ),
    ),
    "04": (
        Table(
            "freezing_depth",
            "here",
            "test accuracy on both domains by frozen depth, and how far each stage's kernels moved, per way and draw",
            "notebook 04: 10 labels per class of mnist, Adam, 6 epochs, batches of 32",
        ),
        Table(
            "start_and_rate",
            "square_here",
            "test accuracy on both domains with stages 1 to 3 frozen, by start of the head, rate and draw",
            "notebook 04: 10 labels per class of mnist, Adam at 0.003 or 0.0003, 20 epochs, batches of 32",
        ),
    ),
    "05": (
        Table(
            "fine_tuning",
            "runs",
            "test accuracy on target, third domain and source, and refitted to the source, per start, way and draw",
            "notebook 05: 10 labels per class of mnist, Adam, 8 epochs, batches of 8, stages 1 to 3 frozen",
        ),
        Table(
            "fine_tuning_range_test",
            "sweeps",
            "mean training loss (nats) of each epoch of a range test of the learning rate, per draw",
            "notebook 05: the clothes backbone, one epoch per rate, batches of 8, stages 1 to 3 frozen",
        ),
    ),
    "06": (
        Table(
            "augmentation_from_scratch",
            "here",
            "test accuracy of a small network trained from scratch with each augmentation, per draw",
            "notebook 06: 10 labels per class of mnist, Adam, 40 epochs, batches of 25, rate 0.002",
        ),
        Table(
            "augmentation_live_or_cached",
            "heads",
            "test accuracy of a head on the frozen printed backbone, trained on live or on cached views, per draw",
            "notebook 06: 10 labels per class of mnist, rotation and crop, 20 epochs live or 5 of 4 cached views",
        ),
    ),
    "08": (
        Table(
            "clothes_for_20_digits",
            "here",
            "test accuracy with 2 labels per class of mnist: pixels, clothes features, the whole network trained",
            "notebook 08: Adam, 60 epochs, rate 0.0003, chosen on training images of mnist",
        ),
        Table(
            "candidate_scores",
            "scored_here.reset_index()",
            "accuracy of a probe on 100 labels by target, candidate and draw, and what each score says of it",
            "notebook 08: ResNets cut at a stage, pretrained or random, and raw pixels; scores see the 100 labels",
        ),
    ),
    "09": (
        Table(
            "article_orders",
            "here",
            "test accuracy on source and target after each order of training base and head, per draw",
            "notebook 09: 10 labels per class of mnist; head 30 epochs at 0.01, base 10 epochs at 0.0003, Adam",
        ),
    ),
    "12": (
        Table(
            "efficient_resnet",
            "here",
            "test accuracy on target and source of each parameter-efficient method on a ResNet, per start and draw",
            "notebook 12, section 4: labels of mnist, stages 1 to 3 frozen, Adam, a rate per method",
        ),
    ),
    "13": (
        Table(
            "trap_prices",
            "prices_here",
            "what each trap costs: scores with it and without it, by exhibit and draw",
            "notebook 13: 10 labels per class of mnist, 500 test images",
        ),
    ),
}


def all_draws(source: Path) -> Any:
    """The notebook that trains all draws itself.

    Raises:
        ValueError: No cell sets ``LIVE``.
    """
    notebook = read_source(source)
    notebook.cells = [cell for cell in notebook.cells if COMPARES not in cell.metadata.get("tags", [])]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if sum(bool(LIVE.search(cell.source)) for cell in code) != 1:
        raise ValueError(f"{source.name} must set LIVE in one cell, at the start of a line.")
    for cell in code:
        cell.source = LIVE.sub(r"\1 = DRAWS", cell.source)
    return notebook


def collected(source: Path, variables: list[str]) -> list[pd.DataFrame]:
    """What the notebook's variables hold after all draws were trained; a failing assert ends it."""
    with tempfile.TemporaryDirectory() as folder:
        notebook = all_draws(source)
        paths = [Path(folder) / f"{name}.csv" for name in variables]
        for name, path in zip(variables, paths, strict=True):
            code = f"import pandas\npandas.DataFrame({name}).to_csv({str(path)!r}, index=False)"
            notebook.cells.append(nbformat.v4.new_code_cell(code))
        NotebookClient(notebook, timeout=None, resources={"metadata": {"path": NOTEBOOKS}}).execute()
        return [pd.read_csv(path) for path in paths]


def main(
    prefixes: Annotated[list[str] | None, typer.Argument(help="Beginnings of notebooks' names, such as 05.")] = None,
    out: Annotated[Path, typer.Option(help="The folder that takes the tables.")] = FOLDER,
) -> None:
    """Run the notebooks with all their draws, and write what they collect."""
    for number in prefixes or TABLES:
        if number not in TABLES:
            raise typer.BadParameter(f"a notebook with tables must be one of {', '.join(TABLES)}, got {number!r}.")
        (source,) = sources([number])
        found = collected(source, [table.variable for table in TABLES[number]])
        for table, rows in zip(TABLES[number], found, strict=True):
            store(rows.to_dict("records"), out / f"{table.name}.csv", table.title, table.recipe)
            typer.echo(f"{table.name}: {len(rows)} rows")


if __name__ == "__main__":
    typer.run(main)
