"""Build notebooks/*.ipynb from notebooks/source/*.py, outputs included; or check that the twins are equal.

The .py file (jupytext's py:percent) is the only one that people edit. The built notebook is run from top to bottom in a
fresh kernel, keeps its outputs and counts (nbval checks no cell without a count), and drops stderr, where TensorFlow
writes lines that differ from machine to machine. Of a widget the picture stays, for readers without a kernel.

    python tools/build_notebooks.py              # all of them
    python tools/build_notebooks.py 03           # those whose name begins with 03
    python tools/build_notebooks.py --check      # run nothing, compare
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import jupytext
import nbformat
import typer
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
MAX_BYTES = 500_000
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def sources(prefixes: list[str]) -> list[Path]:
    """The source files, in order, whose names begin with one of the prefixes (all when there is none)."""
    files = sorted((NOTEBOOKS / "source").glob("*.py"))
    return [file for file in files if not prefixes or file.name.startswith(tuple(prefixes))]


def built(source: Path) -> Path:
    return NOTEBOOKS / f"{source.stem}.ipynb"


def read_source(source: Path) -> Any:
    """The notebook without outputs; ids count the cells, so that a rebuild changes only what changed."""
    notebook = jupytext.read(source)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number:02d}"
    return notebook


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
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                # Without a kernel the view would say that its model is not found; the picture beside it says more.
                if "image/png" in output.get("data", {}):
                    output.data.pop(WIDGET_VIEW, None)
    nbformat.validate(notebook)
    nbformat.write(notebook, built(source))
    return time.perf_counter() - start


def differences(source: Path) -> list[str]:
    """What is wrong with a built notebook, in words; nothing when it is its source's twin."""
    path = built(source)
    if not path.is_file():
        return [f"{path.name} is missing"]
    wanted, found = read_source(source), nbformat.read(path, as_version=4)

    def content(notebook: Any) -> list[tuple[str, str, Any]]:
        return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]

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
) -> None:
    """Build the notebooks, or check that each equals its source."""
    files = sources(prefixes or [])
    if check:
        problems = [problem for file in files for problem in differences(file)]
        for problem in problems:
            typer.echo(f"{problem}: run make notebooks", err=True)
        sys.exit(bool(problems))
    for file in files:
        typer.echo(f"{built(file).name}: {build(file):.0f} s")


if __name__ == "__main__":
    typer.run(main)
