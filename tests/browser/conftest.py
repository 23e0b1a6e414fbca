"""One JupyterLab for all browser tests, a browser for a file, a page for a test. Screenshots stay as artefacts."""

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
# Where screenshots go, for people to look at; pytest keeps its temporary folders for three runs.
ARTEFACTS = os.environ.get("TLKIT_SCREENSHOTS")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab_in_browser.Server]:
    with lab_in_browser.jupyterlab(tmp_path_factory.mktemp("jupyterlab")) as running:
        yield running


# Not for the session: until Playwright ends, its event loop runs in this thread, also under other files' tests.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if lab_in_browser.find_browser() is None and not shutil.which("playwright"):
        pytest.skip("no Chromium or Chrome on this machine; .ci/run installs one")
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE)
    with lab_in_browser.browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def new_page(chromium: Any) -> Callable[[], Any]:
    """Opens a page, in a context of its own."""

    def opened() -> Any:
        page = chromium.new_context(viewport={"width": 1280, "height": 1100}).new_page()
        page.set_default_timeout(PATIENCE)
        return page

    return opened


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
    page.context.close()
