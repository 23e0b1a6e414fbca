"""Each built notebook equals its source, backs its numbers, and gives the same outputs again (strict nbval)."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import build_notebooks
import check_binder
import nbformat
import pytest
from helpers import KERAS_SAVES_WITH_A_WARNING
from nbclient import NotebookClient
from PIL import Image

import tlkit

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


# Decimals in the prose that no assert and no constant backs, and why they may stand.
ALLOWED_DECIMALS: dict[tuple[str, str], str] = {
    ("00_start_here", "1.3"): "the millions of ImageNet's training images, from the paper on ImageNet",
    ("09_article_review", "1.28"): "the number of ImageNet's labelled images, from the paper cited beside it",
    ("09_article_review", "3.8"): "the version of Python that the article names",
    ("16_speech", "3.0"): "the version of a licence",
    ("16_speech", "4.0"): "the version of a licence",
}

DECIMAL = re.compile(r"(?<![\w.:/-])\d+\.\d+(?![\w.]*\d)")


def decimals_in_prose(text: str) -> set[str]:
    """Decimal numbers of a Markdown cell; code, links, arXiv numbers and sections (§ 4.2) left out."""
    text = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)|https?://\S+|arXiv:\S+|§ \d\.\d", " ", text, flags=re.DOTALL)
    return set(DECIMAL.findall(text))


def backed_numbers(notebook) -> set[float]:
    """The numbers in the notebook's asserts and UPPER_CASE constants."""
    found: set[float] = set()
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            constant = isinstance(node, ast.Assign) and all(
                isinstance(target, ast.Name) and target.id.isupper() for target in node.targets
            )
            if isinstance(node, ast.Assert) or constant:
                numbers = (n.value for n in ast.walk(node) if isinstance(n, ast.Constant))
                found |= {float(n) for n in numbers if isinstance(n, (int, float)) and not isinstance(n, bool)}
    return found


def test_decimals_are_found():
    prose = "from 0.5 to 12.25, `0.1`, [x](a0.3.html), arXiv:1512.03385, § 4.2, Keras 3.15.1, 1.2 M; $0.75$, v1.5"
    assert decimals_in_prose(prose) == {"0.5", "12.25", "1.2", "0.75"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_no_bare_decimal_in_the_prose(source):
    notebook = build_notebooks.read_source(source)
    backed = backed_numbers(notebook)
    bare = {
        number
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for number in decimals_in_prose(cell.source)
        if float(number) not in backed and (source.stem, number) not in ALLOWED_DECIMALS
    }
    assert bare == set(), "assert each with a margin, or allow it with a reason"


def test_what_is_allowed_still_stands():
    for stem, number in ALLOWED_DECIMALS:
        notebook = build_notebooks.read_source(ROOT / "notebooks" / "source" / f"{stem}.py")
        prose = [decimals_in_prose(cell.source) for cell in notebook.cells if cell.cell_type == "markdown"]
        assert any(number in numbers for numbers in prose), f"{number} is not in {stem} any more"


READING = re.compile(
    r"Reading time: about (\d+) minutes(?:, (\d+) without the sections? marked as optional)?; "
    r"running it takes about [^.;]+\. You need: "
)


def minutes_of_reading(notebook):
    """Up to the exercises, with and without optional sections: 150 words per minute, 4 s per line of code shown."""
    whole = needed = 0.0
    optional = {2: False, 3: False}  # by level of heading
    for cell in notebook.cells:
        for part in re.split(r"^(?=##)", cell.source, flags=re.MULTILINE) if cell.cell_type == "markdown" else [""]:
            if part.startswith("## Exercise"):
                return whole, needed
            if heading := re.match(r"(##|###) .*", part):
                optional |= {level: "(optional)" in heading[0] for level in (2, 3) if level >= len(heading[1])}
            words = re.sub(r"```mermaid.*?```|!\[.*?\]\([^)]*\)", "", part, flags=re.DOTALL).split()
            shown = cell.cell_type == "code" and not cell.metadata.get("jupyter", {}).get("source_hidden")
            minutes = len(words) / 150 + 4 / 60 * sum(bool(line.strip()) for line in cell.source.splitlines() if shown)
            whole += minutes
            needed += 0 if any(optional.values()) else minutes
    return whole, needed


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_the_first_cell_says_how_long_reading_takes_and_what_is_needed(source):
    notebook = build_notebooks.read_source(source)
    said = READING.search(" ".join(notebook.cells[0].source.split()))
    assert said, "such as: Reading time: about 30 minutes; running it takes about one. You need: notebook 03."
    whole, needed = minutes_of_reading(notebook)
    assert (said[2] is not None) == (needed < whole)
    assert abs(int(said[1]) - whole) <= 6
    assert abs(int(said[2] or said[1]) - needed) <= 6
    assert int(said[2] or said[1]) <= 45


def without_downloads(folder):
    """The environment of a machine that has downloaded nothing and reaches nothing."""
    nowhere = "http://127.0.0.1:9"
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), nowhere)
    return {**os.environ, **proxies, "KERAS_HOME": str(folder), "NO_PROXY": "", "no_proxy": ""}


# Runs pytest, then prints the most memory that a process it started and waited for has held, in KiB: the kernel's.
NBVAL = """
import resource, sys
from tlkit.grading.notebook import skip_grammars
skip_grammars()  # a second of each run
import pytest
code = pytest.main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def check_strictly(source, tmp_path, **variables):
    """Strict nbval, and no more memory than Binder gives; ``variables`` join the environment."""
    start = ["-m", "pytest"] if sys.platform == "win32" else ["-c", NBVAL]
    # The heaps of Binder, and one thread where it has two: workers share the cores, and outputs do not depend on it.
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    threads = [f"{name}={os.environ.get(name, 1)}" for name in names]  # `make elsewhere` sets them
    binder = ["bash", str(ROOT / "binder" / "start"), "env", *threads] if sys.platform == "linux" else []
    command = [*binder, sys.executable, *start, "-p", "no:cacheprovider", "--nbval", "--nbval-current-env"]
    command += ["--nbval-cell-timeout=300", "-q", "-W", "ignore", "-c", os.devnull, f"--rootdir={ROOT}"]
    command.append(str(build_notebooks.built(source)))
    # A store of its own, as a learner's is when the course begins: the memory that features take is counted.
    env = without_downloads(tmp_path) | {"TLKIT_CACHE_DIR": str(tmp_path / "features"), **variables}
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env)
    assert run.returncode == 0, run.stdout + run.stderr
    if sys.platform == "linux":  # elsewhere the figure has another unit, or there is none
        assert 1024 * int(run.stdout.split()[-1]) < 1e6 * check_binder.MEMORY_MB


def with_a_fallback(source):
    """Whether a notebook reads what `tlkit fetch` may have brought, and something else where it did not."""
    return "NotFetchedError" in source.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("source", [s for s in SOURCES if not with_a_fallback(s)], ids=lambda source: source.stem)
def test_strict_nbval_within_binders_memory(source, tmp_path, request):
    """One run for both; tools/check_binder.py keeps Binder's other limits, too, and `make bank` runs it."""
    if "tlkit.text" in source.read_text(encoding="utf-8"):
        request.getfixturevalue("fetched_text")
    check_strictly(source, tmp_path)


# Of the notebooks with a fallback `make test` runs what a new learner sees, and `make bank` what comes after the fetch.


@pytest.mark.slow
@pytest.mark.parametrize("source", [s for s in SOURCES if with_a_fallback(s)], ids=lambda source: source.stem)
def test_strict_nbval_where_nothing_was_fetched(source, tmp_path):
    check_strictly(source, tmp_path, TLKIT_DATA_DIR=str(tmp_path / "nothing"))


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.parametrize("source", [s for s in SOURCES if with_a_fallback(s)], ids=lambda source: source.stem)
def test_strict_nbval_with_what_was_fetched(source, tmp_path, request):
    loads = re.findall("load_(clothes|speech|cells|text)", source.read_text(encoding="utf-8"))
    for name in loads:
        request.getfixturevalue(f"fetched_{name}")
    check_strictly(source, tmp_path)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_no_stored_output_shows_what_was_fetched(source):
    notebook = nbformat.read(build_notebooks.built(source), as_version=4)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if build_notebooks.FETCHED_TAG in tags:
            assert cell.outputs == []
            assert "nbval-ignore-output" in tags  # nbval compares with nothing
        elif "shows-bundled" in tags:  # pictures of the repository, and none of the names that may hold fetched ones
            names = {node.id for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Name)}
            assert not names & {"domain", "train", "validation", "test", "parts", "speech", "shown"}
        elif with_a_fallback(source) and cell.cell_type == "code":
            assert ".imshow(" not in cell.source
            assert not re.search(r"(?<!def )\bshow\(", cell.source)
            assert "plot_examples" not in cell.source


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)
def test_resnet50_on_a_folder_of_ones_own_with_a_weights_file(tmp_path):
    """Notebook 10 the second way; its weights are random here, so that nothing is downloaded."""
    weights = tmp_path / "resnet50.weights.h5"
    tlkit.load_backbone("resnet50", weights=None).model.save_weights(weights)
    digits = tlkit.load_domain("mnist").train.take(6, seed=0)
    for i in range(24):  # digits 0 to 3
        image, label = digits.x[digits.y < 4][i], digits.y[digits.y < 4][i]
        (tmp_path / "mine" / f"d{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).resize((60, 50)).convert("RGB").save(
            tmp_path / "mine" / f"d{label}" / f"{i}.jpg"
        )
    (source,) = build_notebooks.sources(["10"])
    notebook = build_notebooks.read_source(source)
    constants = {"FOLDER": str(tmp_path / "mine"), "WEIGHTS": str(weights), "NETWORK": "resnet50", "SIDE": 64}
    constants |= {"TEST_FRACTION": 0.3, "EPOCHS": 2, "TUNING_EPOCHS": 1}
    for cell in notebook.cells:
        for name, value in constants.items():
            cell.source = re.sub(rf"^{name} = .*$", f"{name} = {value!r}", cell.source, flags=re.MULTILINE)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    text = json.dumps(notebook)
    assert all(f"{name} = {value!r}" in text for name, value in constants.items() if name != "WEIGHTS")
    assert "subtract_means" in text
    assert "stands in" not in json.dumps([cell.get("outputs") for cell in notebook.cells])
