"""Fixtures that several test files share. What is session-scoped must not be trained or changed."""

from __future__ import annotations

import collections
import gc
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
# Tests send Ctrl-C to themselves and to children, which a run in a script's background would ignore, and they with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

from marks import COLLECTED, LONG_AND_KEPT
from seconds_of_tests import BANK_FROM, SLOW_FROM, read_record

from tlkit.files import Collection, NotFetchedError
from tlkit.grading.notebook import skip_grammars

# Fixtures import what they need: the first process of xdist reads this, and the others wait until it has.
if TYPE_CHECKING:
    from tlkit.backbones import Backbone
    from tlkit.domains import DomainPair, Split

skip_grammars()

# Their tests take up to a minute each and share nothing, so each is dealt out by itself.
ONE_BY_ONE = ("test_notebooks.py", "test_banks.py", "test_mutations.py")
# Its files share a JupyterLab, a browser and a kernel.
ONE_FOLDER = "tests/browser/"


def dealt_out_with(nodeid: str) -> str:
    """What xdist gives to one worker: a file, which makes its fixtures once, a folder, or a single long test."""
    file = nodeid.split("::")[0]
    if file.startswith(ONE_FOLDER):
        return ONE_FOLDER
    return nodeid if file.endswith(ONE_BY_ONE) else file


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """By the seconds in tests/seconds.csv: what takes long is marked so, and dealt out first."""
    config.stash[COLLECTED] = {item.nodeid for item in items}
    seconds = read_record()
    for item in items:
        if seconds.get(item.nodeid, 0) >= SLOW_FROM:
            item.add_marker("slow")
        if seconds.get(item.nodeid, 0) > BANK_FROM and getattr(item, "originalname", "") not in LONG_AND_KEPT:
            item.add_marker("bank")
    together: collections.Counter[str] = collections.Counter()
    for item in items:
        together[dealt_out_with(item.nodeid)] += seconds.get(item.nodeid, 0)
    items.sort(key=lambda item: -together[dealt_out_with(item.nodeid)])


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Files go to the workers whole, as ONE_FOLDER does, and the long tests of ONE_BY_ONE one by one."""
    from xdist.scheduler import LoadFileScheduling

    class LongOnesOneByOne(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return dealt_out_with(nodeid)

    return LongOnesOneByOne(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(autouse=True, scope="session")
def pictures_in_memory() -> None:
    """Figures need no screen."""
    import matplotlib as mpl

    mpl.use("Agg")


@pytest.fixture(autouse=True, scope="session")
def feature_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tests leave nothing in the user's own feature store, and find nothing there."""
    folder = tmp_path_factory.mktemp("features")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TLKIT_CACHE_DIR", str(folder))
        yield folder


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """What is imported and collected stays to the end: no garbage collection need look at it, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000, 10, 10)  # a traced step is thousands of objects that stay, and garbage all at once
        gc.enable()


@pytest.fixture(autouse=True, scope="module")
def widgets_closed() -> Iterator[None]:
    """ipywidgets keeps every widget that was not closed, and with it models, graphs and features."""
    yield
    module = sys.modules.get("ipywidgets.widgets.widget")
    if module is not None and module._instances:
        module.Widget.close_all()
        gc.collect()


@pytest.fixture
def toy() -> Backbone:
    """A fresh toy backbone, to be trained."""
    from helpers import toy_backbone

    return toy_backbone()


@pytest.fixture(scope="session")
def still_toy() -> Backbone:
    """One toy backbone for all tests that only look."""
    from helpers import toy_backbone

    return toy_backbone(seed=7)


@pytest.fixture(scope="session")
def split() -> Split:
    from helpers import random_split

    return random_split(24)


@pytest.fixture(scope="session")
def pair() -> DomainPair:
    from helpers import random_split

    from tlkit.domains import Domain, DomainPair

    source, target = (
        Domain(name, random_split(24, seed=seed), random_split(15, seed=seed + 1), ("a", "b", "c"))
        for name, seed in (("source", 1), ("target", 3))
    )
    return DomainPair(source, target)


@pytest.fixture(scope="session")
def fetched_text() -> None:
    """The text encoder and the sentences were fetched; else the test is skipped, and says how to fetch them."""
    from tlkit.text.fetching import FILES, NotFetchedError, text_file

    try:
        for name in FILES:
            text_file(name)
    except NotFetchedError as error:
        pytest.skip(str(error))


def data_with(collection: Collection, folder: Callable[[], Path], fetch: Callable[[Path], Path], made: Path) -> Path:
    """A data folder with a collection of one archive: the user's, or ``made``, from a copy of the archive."""
    try:
        return folder().parents[1]
    except NotFetchedError as error:
        from helpers import ROOT

        copy = ROOT.parent / "shared" / "data" / f"{next(iter(collection.files))}.tar.gz"
        if not copy.is_file():
            pytest.skip(f"{error} Nor is there a copy of the archive, {copy}.")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TLKIT_DATA_DIR", str(made))
        return fetch(copy).parent


@pytest.fixture(scope="session")
def data_with_clothes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tlkit.clothes import CLOTHES, clothes_folder, fetch_clothes

    return data_with(CLOTHES, clothes_folder, fetch_clothes, tmp_path_factory.mktemp("data"))


@pytest.fixture
def fetched_clothes(data_with_clothes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The photographs of clothes are there, for kernels that a test starts, too; else the test is skipped."""
    monkeypatch.setenv("TLKIT_DATA_DIR", str(data_with_clothes))


@pytest.fixture(scope="session")
def data_with_speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tlkit.speech import SPEECH, fetch_speech, speech_folder

    return data_with(SPEECH, speech_folder, fetch_speech, tmp_path_factory.mktemp("data"))


@pytest.fixture
def fetched_speech(data_with_speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recordings of spoken digits are there, for kernels that a test starts, too; else the test is skipped."""
    monkeypatch.setenv("TLKIT_DATA_DIR", str(data_with_speech))


@pytest.fixture(scope="session")
def data_with_cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tlkit.cells import CELLS, cells_folder, fetch_cells

    return data_with(CELLS, cells_folder, fetch_cells, tmp_path_factory.mktemp("data"))


@pytest.fixture
def fetched_cells(data_with_cells: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures of blood cells are there, for kernels that a test starts, too; else the test is skipped."""
    monkeypatch.setenv("TLKIT_DATA_DIR", str(data_with_cells))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every attempt to reach the network raises, as on a machine without one."""
    import socket

    from helpers import NO_NETWORK

    saved = {name: getattr(socket, name) for name in ("create_connection", "getaddrinfo", "gethostbyname")}
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    exec(NO_NETWORK, {})
    yield
    socket.socket.connect, socket.socket.connect_ex = connect, connect_ex
    for name, function in saved.items():
        setattr(socket, name, function)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Any fit, prediction or probe fails the test: an error must come before work begins."""
    import keras
    from sklearn.linear_model import LogisticRegression

    def refuse(*args: object, **kwargs: object) -> None:
        pytest.fail("work was begun before the arguments were checked")

    monkeypatch.setattr(keras.Model, "fit", refuse)
    monkeypatch.setattr(keras.Model, "predict", refuse)
    monkeypatch.setattr(LogisticRegression, "fit", refuse)
    return lambda: None
