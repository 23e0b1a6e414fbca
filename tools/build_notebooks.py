"""Build notebooks/*.ipynb from notebooks/source/*.py, outputs included; or check that the twins are equal.

The .py file (jupytext's py:percent) is the only one that people edit. The built notebook is run from top to bottom in a
fresh kernel, keeps its outputs and counts (nbval checks no cell without a count), and drops stderr, where TensorFlow
writes lines that differ from machine to machine. Of a widget the picture stays, for readers without a kernel. A cell
with the tag `shows-fetched` is stored without its output: what `tlkit fetch` brings stays out of the repository.

Before the first code cell the build puts one that no source has: it installs tlkit where that is missing, as on Colab,
and loads TensorFlow without its start-up lines, so that a plain ``import keras`` says nothing. After the last cell it
puts the way on: the graded exercise, if there is one, and the next notebook.

    python tools/build_notebooks.py              # all of them
    python tools/build_notebooks.py 03           # those whose name begins with 03
    python tools/build_notebooks.py --no-run     # new text, same code: keep the outputs
    python tools/build_notebooks.py --check      # run nothing, compare
"""

from __future__ import annotations

import ast
import base64
import io
import re
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import jupytext
import nbformat
import numpy as np
import typer
from launch_links import exercises, notebooks, repository
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell
from PIL import Image

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
MAX_BYTES = 500_000
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

# The graded exercise that a notebook leads to; the text of the exercise says which notebooks to work through.
EXERCISE_AFTER = {
    "00": "ps8", "01": "ps1", "02": "ps2", "03": "ps3", "05": "ps4", "07": "ps5", "08": "ps6", "11": "ps7",
    "15": "ps9", "17": "ps10", "20": "ps11",
}  # fmt: skip

SETUP_TAG = "tlkit-setup"
PLUMBING_TAG = "plumbing"  # tag of a cell that prepares what follows and teaches nothing
PREDICT = re.compile(r"\*\*Predict\s+before\s+you\s+(run|look):\*\*")  # how a Markdown cell asks for a guess
PALETTE_ERROR = 0.1  # of 255: the mean error of a pixel that nobody sees; photographs have more
FETCHED_TAG = "shows-fetched"  # tag of a cell that shows what `tlkit fetch` brought: it is stored without its output
# A folder that is called tlkit, such as a checkout's, is found as well, but has no origin.
SETUP = f"""\
# Installs tlkit where it is missing, as on Colab, and loads TensorFlow without its start-up lines.
import subprocess
import sys
from importlib.util import find_spec
TLKIT_FROM = "git+https://github.com/{repository()}"
if getattr(find_spec("tlkit"), "origin", None) is None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", TLKIT_FROM]
    if (pip := subprocess.run(command, capture_output=True, text=True)).returncode:
        print(pip.stderr)
        raise ModuleNotFoundError(f"TLKIT_FROM must be tlkit's address, a folder or a wheel, got {{TLKIT_FROM}}.")
import tlkit
tlkit.quiet_start()"""


def sources(prefixes: list[str]) -> list[Path]:
    """The source files, in order, whose names begin with one of the prefixes (all when there is none)."""
    files = sorted((NOTEBOOKS / "source").glob("*.py"))
    return [file for file in files if not prefixes or file.name.startswith(tuple(prefixes))]


def built(source: Path) -> Path:
    return NOTEBOOKS / f"{source.stem}.ipynb"


def way_on(source: Path) -> str:
    """Links to the exercise that belongs to a notebook, to the next one, and to the glossary."""
    course = [Path(path).stem for path in notebooks()]
    after = course[(course.index(source.stem) + 1) % len(course)] if source.stem in course else course[0]
    lines = [f"**Next notebook:** [{after}]({after}.ipynb)"]
    for path in exercises():
        if Path(path).stem.split("_")[0] == EXERCISE_AFTER.get(source.stem[:2]):
            lines.insert(0, f"**Graded exercise:** [{Path(path).stem}](../{path})")
    return " · ".join([*lines, "[Glossary](glossary.md)"])


def read_source(source: Path) -> Any:
    """The notebook without outputs, with the set-up cell before its first code and the way on at its end.

    Ids count the cells of the source, so that a rebuild changes only what changed. Where a section begins, the id is
    its number: JupyterLab (4.6) follows a link to ``05_fine_tuning.ipynb#cell-id=section-2``, but none to a heading
    that it has not drawn yet.
    """
    notebook = jupytext.read(source)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells, start=1):
        section = re.match(r"## (\d+)\. ", cell.source)
        cell.id = f"section-{section[1]}" if section else f"cell-{number:02d}"
    first = next((place for place, cell in enumerate(notebook.cells) if cell.cell_type == "code"), len(notebook.cells))
    folded = {"tags": [SETUP_TAG], "jupyter": {"source_hidden": True}}  # JupyterLab shows three dots
    notebook.cells.insert(first, new_code_cell(SETUP, id="setup", metadata=folded))
    notebook.cells.append(new_markdown_cell(way_on(source), id="way-on"))
    fold(notebook)
    return notebook


def fold(notebook: Any) -> None:
    """Fold away, for JupyterLab, code that is no part of the lesson, and results that a learner shall predict first.

    A cell of asserts alone, or with the tag ``plumbing``, hides its source. From a Markdown cell that asks to predict
    to the next one, outputs are hidden; running a cell shows them. Widgets that ask stay in sight.
    """
    asked = False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            asked = PREDICT.search(cell.source) is not None
        elif cell.cell_type == "code":
            folded = dict(cell.metadata.get("jupyter", {}))
            if PLUMBING_TAG in cell.metadata.get("tags", []) or _is_asserts(cell.source):
                folded["source_hidden"] = True
            if asked and not re.search(r"^\w+ = Predict\(|^Predict\(", cell.source, re.M):
                folded["outputs_hidden"] = True
            if folded:
                cell.metadata["jupyter"] = folded


def _is_asserts(code: str) -> bool:
    statements = ast.parse(code).body
    return bool(statements) and all(isinstance(statement, ast.Assert) for statement in statements)


def code_cells(notebook: Any) -> list[Any]:
    """The code cells in order, without the one for setting up."""
    return [
        cell for cell in notebook.cells if cell.cell_type == "code" and SETUP_TAG not in cell.metadata.get("tags", [])
    ]


def refresh(source: Path) -> None:
    """Write a notebook that was built before, with new text and a new set-up cell, and with the outputs that it has.

    Raises:
        ValueError: A code cell has changed: only a run can tell what it gives.
    """
    notebook, old = read_source(source), nbformat.read(built(source), as_version=4)
    if [cell.source for cell in code_cells(notebook)] != [cell.source for cell in code_cells(old)]:
        raise ValueError(f"{source.name} must have the code that {built(source).name} was built from: run the build.")
    for cell, ran in zip(code_cells(notebook), code_cells(old), strict=True):
        cell.outputs = stored_outputs(ran)
    for count, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    nbformat.validate(notebook)
    nbformat.write(notebook, built(source))


def small_png(encoded: str) -> str:
    """The same picture in fewer bytes, base64 as in a notebook: of 256 colours where nobody sees that."""
    given = Image.open(io.BytesIO(base64.b64decode(encoded)))
    clear = given.has_transparency_data and given.convert("RGBA").getextrema()[3] != (255, 255)
    if clear or given.mode == "P":  # or made small before
        return encoded
    picture = given.convert("RGB")
    palette = picture.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    error = np.abs(np.asarray(palette.convert("RGB"), float) - np.asarray(picture, float)).mean()
    buffer = io.BytesIO()
    (palette if error <= PALETTE_ERROR else picture).save(buffer, "PNG", optimize=True)
    return min(encoded, base64.b64encode(buffer.getvalue()).decode(), key=len)


def stored_outputs(cell: Any) -> list[Any]:
    """What is stored of what a cell gave: no stderr, nothing of what `tlkit fetch` brought, and pictures made small."""
    if FETCHED_TAG in cell.metadata.get("tags", []):
        return []
    outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    for output in outputs:
        # Without a kernel the view would say that its model is not found; the picture beside it says more.
        if "image/png" in output.get("data", {}):
            output.data.pop(WIDGET_VIEW, None)
            output.data["image/png"] = small_png(output.data["image/png"])
    return outputs


def build(source: Path) -> float:
    """Run and write one notebook; returns the seconds it took."""
    start = time.perf_counter()
    notebook = read_source(source)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", record_timing=False, resources={"metadata": {"path": NOTEBOOKS}}
    ).execute()
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}  # the kernel adds its exact Python version
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = stored_outputs(cell)
    nbformat.validate(notebook)
    nbformat.write(notebook, built(source))
    return time.perf_counter() - start


def differences(source: Path) -> list[str]:
    """What is wrong with a built notebook, in words; nothing when it is its source's twin."""
    path = built(source)
    if not path.is_file():
        return [f"{path.name} is missing"]
    wanted, found = read_source(source), nbformat.read(path, as_version=4)

    def content(notebook: Any) -> list[tuple[Any, ...]]:
        return [
            (cell.cell_type, cell.source, cell.metadata.get("tags", []), dict(cell.metadata.get("jupyter", {})))
            for cell in notebook.cells
        ]

    problems = []
    if content(wanted) != content(found):
        problems.append(f"{path.name} differs from {source.name}")
    counts = [cell.execution_count for cell in found.cells if cell.cell_type == "code"]
    if counts != list(range(1, len(counts) + 1)):
        problems.append(f"{path.name} has execution counts {counts}, not 1..{len(counts)}")
    if path.stat().st_size > MAX_BYTES:
        problems.append(f"{path.name} has {path.stat().st_size:,} bytes, more than {MAX_BYTES:,}")
    return problems


def main(
    prefixes: Annotated[list[str] | None, typer.Argument(help="Beginnings of names, such as 03.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Run nothing; compare the twins.")] = False,
    no_run: Annotated[bool, typer.Option("--no-run", help="Run nothing; new text around the outputs.")] = False,
) -> None:
    """Build the notebooks, or check that each equals its source."""
    files = sources(prefixes or [])
    if check:
        problems = [problem for file in files for problem in differences(file)]
        for problem in problems:
            typer.echo(f"{problem}: run make notebooks", err=True)
        sys.exit(bool(problems))
    for file in files:
        if no_run:
            refresh(file)
        else:
            typer.echo(f"{built(file).name}: {build(file):.0f} s")


if __name__ == "__main__":
    typer.run(main)
