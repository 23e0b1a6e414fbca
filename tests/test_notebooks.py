"""Each built notebook equals its source, and gives the same outputs when it is run again (strict nbval)."""

import os
import subprocess
import sys
from pathlib import Path

import build_notebooks
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = build_notebooks.sources([])


def test_there_are_notebooks_and_none_without_a_source():
    built = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert built == {source.stem for source in SOURCES}
    assert built


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_twins_are_equal(source):
    assert build_notebooks.differences(source) == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_code_cells_are_short_and_outputs_are_clean(source):
    notebook = nbformat.read(build_notebooks.built(source), as_version=4)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        assert len(cell.source.splitlines()) <= 12, cell.source
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output
            assert "Warning" not in str(output), output


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_strict_nbval(source):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env"]
    command += ["--nbval-cell-timeout=300", "-q", "-W", "ignore", "-c", os.devnull, f"--rootdir={ROOT}"]
    run = subprocess.run([*command, str(build_notebooks.built(source))], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
