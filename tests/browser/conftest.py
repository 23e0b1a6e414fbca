"""One JupyterLab, one browser and one kernel for all browser tests. Screenshots stay as artefacts."""

import contextlib
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lab_in_browser
import pytest

# `make check` has no Playwright.
collect_ignore_glob = [] if importlib.util.find_spec("playwright") else ["test_*.py"]

PATIENCE = 60_000  # milliseconds to wait for what must come; Playwright's own five seconds are short on a busy machine
WINDOW = {"width": 1280, "height": 1100}
# Where screenshots go, for people to look at; pytest keeps its temporary folders for three runs.
ARTEFACTS = os.environ.get("TLKIT_SCREENSHOTS")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)


# Not for the session, but for this folder, which is a package for that: until Playwright ends, its event loop runs in
# this thread, also under other folders' tests.
@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab_in_browser.Server]:
    import build_exercises

    folder = tmp_path_factory.mktemp("jupyterlab")
    config = (build_exercises.EXERCISES / "nbgrader_config.py").read_text(encoding="utf-8")
    # test_exercises_in_browser.py makes the class there.
    config += f"\nc.CourseDirectory.root = {str(folder / 'work' / 'class')!r}\n"
    with lab_in_browser.jupyterlab(folder, nbgrader_config=config) as running:
        yield running


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    if lab_in_browser.find_browser() is None and not shutil.which("playwright"):
        pytest.skip("no Chromium or Chrome on this machine; .ci/run installs one")
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE)
    with lab_in_browser.browser() as browser:
        yield browser


@pytest.fixture(scope="package")
def new_page(chromium: Any) -> Callable[[], Any]:
    """Opens a page. They share a context: what JupyterLab consists of is fetched and compiled once."""
    return _context(chromium).new_page  # type: ignore[no-any-return]


def _context(chromium: Any) -> Any:
    context = chromium.new_context(viewport=WINDOW)
    context.set_default_timeout(PATIENCE)
    return context


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """The folder for screenshots."""
    return Path(ARTEFACTS) if ARTEFACTS else tmp_path


@pytest.fixture
def page(new_page: Callable[[], Any], request: pytest.FixtureRequest, shots: Path) -> Iterator[Any]:
    page = new_page()
    page.shots = shots
    yield page
    page.screenshot(path=shots / f"{request.node.name}.png")
    lab_in_browser.end_kernel(page)
    page.close()


@contextlib.contextmanager
def _as_at_first(page: Any, request: pytest.FixtureRequest, shots: Path) -> Iterator[Any]:
    """A shared page, in the light theme and as large as at first, and its picture after the test."""
    page.shots = shots
    page.set_viewport_size(WINDOW)
    lab_in_browser.set_theme(page, "JupyterLab Light")
    yield page
    page.screenshot(path=shots / f"{request.node.name}.png")


@pytest.fixture(scope="package")
def one_lab(new_page: Callable[[], Any], server: lab_in_browser.Server) -> Iterator[Any]:
    """A page whose JupyterLab the tests share: to load it takes four seconds, and a notebook in it half of one."""
    page = new_page()
    lab_in_browser.write_notebook(server, "first.ipynb", [])
    lab_in_browser.open_notebook(page, server, "first.ipynb")
    yield page
    page.close()


@pytest.fixture
def lab_alone(one_lab: Any, request: pytest.FixtureRequest, shots: Path) -> Iterator[Any]:
    """That page, as :func:`shared_page` has it, for a test that opens notebooks by ``lab_in_browser.turn_to``."""
    with _as_at_first(one_lab, request, shots) as page:
        yield page
    lab_in_browser.close_all(one_lab)


@pytest.fixture(scope="package")
def one_kernel(chromium: Any, server: lab_in_browser.Server) -> Iterator[Any]:
    """A page with a notebook whose kernel the tests share: to start one with TensorFlow takes ten seconds."""
    # A context of its own: the second of two pages in one context gets another workspace, and JupyterLab loads it anew.
    page = _context(chromium).new_page()
    page.notebook = "shared.ipynb"
    lab_in_browser.write_notebook(server, page.notebook, [""])
    lab_in_browser.open_notebook(page, server, page.notebook)
    yield page
    lab_in_browser.end_kernel(page)
    page.context.close()


@pytest.fixture
def shared_page(one_kernel: Any, request: pytest.FixtureRequest, shots: Path) -> Iterator[Any]:
    """That page, in the light theme and as large as at first. ``lab_in_browser.set_cells`` gives it a test's cells."""
    with _as_at_first(one_kernel, request, shots) as page:
        yield page
