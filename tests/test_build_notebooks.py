"""How notebooks are built: the cell that sets up, and new text around the outputs that are there."""

import base64
import importlib.machinery
import io
import subprocess
import sys

import build_notebooks
import launch_links
import nbformat
import numpy as np
import pytest
from helpers import raises_one_line, run_python
from PIL import Image

SOURCES = build_notebooks.sources([])


# The set-up cell


def run_setup(monkeypatch, *, spec, code=0, said=""):
    """Run the cell with what ``find_spec`` finds and with how pip ends; returns the commands that it started."""
    commands = []

    def start(command, **options):
        commands.append(command)
        return subprocess.CompletedProcess(command, code, "", said)

    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: spec)
        patch.setattr("subprocess.run", start)
        exec(build_notebooks.SETUP, {})
    return commands


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_the_first_code_cell_is_the_one_for_setting_up(source):
    code = [cell for cell in build_notebooks.read_source(source).cells if cell.cell_type == "code"]
    assert code[0].source == build_notebooks.SETUP
    assert [build_notebooks.SETUP_TAG in cell.metadata.get("tags", []) for cell in code] == [True] + [False] * (
        len(code) - 1
    )


def test_where_tlkit_is_there_setting_up_says_and_does_nothing(capfd, no_network, monkeypatch):
    monkeypatch.setattr("subprocess.run", lambda *args, **options: pytest.fail("a program was started"))
    exec(build_notebooks.SETUP, {})
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.bank
def test_after_setting_up_a_plain_import_of_keras_says_nothing():
    run = run_python("-c", f"{build_notebooks.SETUP}\nimport keras, tensorflow as tf\ntf.constant(1)")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize("spec", [None, importlib.machinery.ModuleSpec("tlkit", None, is_package=True)])
def test_where_tlkit_is_missing_pip_installs_it_from_the_repository(monkeypatch, spec):
    # A folder that is called tlkit counts as missing: it is found, but has no origin.
    (command,) = run_setup(monkeypatch, spec=spec)
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert command[-1] == f"git+https://github.com/{launch_links.repository()}"


def test_where_pip_fails_the_cell_says_what_to_change(monkeypatch, capsys):
    with raises_one_line(ModuleNotFoundError, "TLKIT_FROM must be", launch_links.repository()):
        run_setup(monkeypatch, spec=None, code=1, said="no such repository")
    assert capsys.readouterr().out == "no such repository\n"


# What is folded away

FOLDED = """\
# %% [markdown]
# # 00
#
# Where it says **Predict before you run**, write your guess down.

# %%
1

# %% [markdown]
# **Predict before
# you run:** how much?

# %%
much = Predict("How much?", between=(0, 1))
much

# %%
x = 0.5
x

# %% [markdown]
# It is half.

# %%
assert x < 1
assert x > 0

# %% tags=["plumbing"]
def read():
    assert x
"""


def test_results_are_hidden_from_the_question_to_the_next_text_and_code_that_teaches_nothing_is(tmp_path):
    source = tmp_path / "00_folded.py"
    source.write_text(FOLDED, encoding="utf-8")
    cells = build_notebooks.code_cells(build_notebooks.read_source(source))
    assert [cell.metadata.get("jupyter") for cell in cells] == [
        None,
        None,
        {"outputs_hidden": True},
        {"source_hidden": True},
        {"source_hidden": True},
    ]


# What is stored of what a cell gave


def test_a_cell_that_shows_what_was_fetched_is_stored_without_its_output():
    given = {"image/png": png(np.zeros((1, 1, 3), np.uint8)), build_notebooks.WIDGET_VIEW: {}}
    picture = nbformat.v4.new_output("display_data", given)
    warning = nbformat.v4.new_output("stream", name="stderr", text="a line of TensorFlow's")
    cell = nbformat.v4.new_code_cell("show()", outputs=[picture, warning])
    assert build_notebooks.stored_outputs(cell) == [picture]
    assert list(picture.data) == ["image/png"]
    cell.metadata["tags"] = [build_notebooks.FETCHED_TAG]
    assert build_notebooks.stored_outputs(cell) == []


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def pixels_of(encoded):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA"))


def test_a_picture_is_stored_in_fewer_bytes_and_looks_the_same():
    rng = np.random.default_rng(0)
    few = np.kron(rng.integers(0, 256, (10, 10, 3), np.uint8), np.ones((20, 20, 1), np.uint8))  # 100 colours
    opaque = np.dstack([few, np.full(few.shape[:2], 255, np.uint8)])
    photograph = rng.integers(0, 256, (200, 200, 3), np.uint8)  # 256 colours would be seen
    for picture in (few, opaque, photograph):
        small = build_notebooks.small_png(png(picture))
        np.testing.assert_array_equal(pixels_of(small)[..., :3], picture[..., :3])
        assert len(small) <= len(png(picture))
        assert build_notebooks.small_png(small) == small  # a second build changes nothing
    clear = opaque.copy()
    clear[0, 0, 3] = 0
    assert build_notebooks.small_png(png(clear)) == png(clear)


# New text around the outputs that are there


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_refresh_of_what_is_fresh_changes_nothing(source, tmp_path, monkeypatch):
    before = build_notebooks.built(source).read_bytes()
    (tmp_path / f"{source.stem}.ipynb").write_bytes(before)
    monkeypatch.setattr(build_notebooks, "NOTEBOOKS", tmp_path)
    build_notebooks.refresh(source)
    assert (tmp_path / f"{source.stem}.ipynb").read_bytes() == before


SMALL = "# %% [markdown]\n# Text.\n\n# %%\nx = 1\n\n# %%\nx + 1\n"


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A source whose notebook was built before there were a set-up cell and a way on."""
    monkeypatch.setattr(build_notebooks, "NOTEBOOKS", tmp_path)
    source = tmp_path / "source" / "00_small.py"
    source.parent.mkdir()
    source.write_text(SMALL, encoding="utf-8")
    old = build_notebooks.read_source(source)
    old.cells = [cell for cell in old.cells if cell.id not in ("setup", "way-on")]
    for count, cell in enumerate((cell for cell in old.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
    old.cells[-1].outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "2"}, execution_count=2)]
    nbformat.write(old, build_notebooks.built(source))
    assert build_notebooks.differences(source) != []
    return source


def test_a_refresh_puts_the_new_text_around_the_old_outputs(small):
    small.write_text(SMALL.replace("Text.", "Other text."), encoding="utf-8")
    build_notebooks.refresh(small)
    assert build_notebooks.differences(small) == []
    last = build_notebooks.code_cells(nbformat.read(build_notebooks.built(small), as_version=4))[-1]
    assert last.outputs[0].data["text/plain"] == "2"
    assert (last.execution_count, last.outputs[0].execution_count) == (3, 3)


def test_a_refresh_refuses_new_code_and_leaves_the_file_alone(small):
    before = build_notebooks.built(small).read_bytes()
    small.write_text(SMALL.replace("x + 1", "x + 2"), encoding="utf-8")
    with raises_one_line(ValueError, "00_small.py must have the code", "run the build"):
        build_notebooks.refresh(small)
    assert build_notebooks.built(small).read_bytes() == before
