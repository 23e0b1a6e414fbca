"""The command: what it prints, what it refuses and with which exit code, and that it starts without TensorFlow."""

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import psutil
import pytest
from helpers import run_python
from PIL import Image
from rich.console import Console
from rich.progress import Progress

import tlkit
from tlkit import assets, cli
from tlkit.demo import METHODS, PHOTO_METHODS, methods_for
from tlkit.files.store import Store

needs_lab = pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is None, reason="needs tlkit[lab]")


ROW_KEYS = {"method", "target_accuracy", "target_ci95", "source_accuracy", "trainable_weights", "seconds"}


class Result(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def tlkit_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs ``tlkit`` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["tlkit", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        code = stop.value.code
        assert code is None or isinstance(code, int)
        return Result(code or 0, out, err)

    return run


def assert_one_line_refusal(result: Result, *fragments: str) -> None:
    assert result.code == 2
    assert result.out == ""
    assert len(result.err.strip().splitlines()) == 1, result.err
    assert result.err.startswith("tlkit: ")
    for fragment in fragments:
        assert fragment in result.err


def fake_rows(target: str, *, per_class: int, seeds: int):
    """What run_demo yields, without any work."""
    for seed in range(seeds):
        for place, method in enumerate(methods_for(target)):
            yield {
                "method": method,
                "seed": seed,
                "target_accuracy": 0.5 + 0.05 * place + 0.01 * seed,
                "source_accuracy": float("nan") if place in (0, 1, 3) or target == "photos" else 0.9,
                "trainable_weights": 10 * place,
                "seconds": 0.25,
            }


@pytest.fixture
def quick_demo(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """The demo's computation replaced, its calls noted."""
    calls: list[dict[str, object]] = []

    def run_demo(target: str, *, starting: Callable[[int, str], None], **options: int):
        calls.append({"target": target, **options})
        return fake_rows(target, **options)

    monkeypatch.setattr("tlkit.demo.run_demo", run_demo)
    return calls


# demo


def check_schema(out: str, target: str) -> dict[str, dict[str, object]]:
    """One JSON object of the form that issue 2 lays down; its rows by method."""

    def no_constant(name: str) -> None:
        pytest.fail(f"{name} is not JSON")

    result = json.loads(out, parse_constant=no_constant)
    assert set(result) == {"target", "rows"}
    assert result["target"] == target
    for row in result["rows"]:
        assert set(row) == ROW_KEYS
        assert isinstance(row["method"], str)
        assert isinstance(row["trainable_weights"], int)
        assert 0 <= row["target_accuracy"] <= 1
        assert row["source_accuracy"] is None or 0 <= row["source_accuracy"] <= 1
        assert row["target_ci95"] is None or row["target_ci95"] >= 0
        assert row["seconds"] >= 0
    assert [row["method"] for row in result["rows"]] == list(METHODS)
    return {row["method"]: row for row in result["rows"]}


def is_png(path: Path) -> bool:
    with Image.open(path) as image:
        image.load()
        return image.format == "PNG" and len(np.unique(np.asarray(image.convert("L")))) > 2


def test_demo_json_is_one_object(tlkit_command: Command, quick_demo, tmp_path: Path) -> None:
    result = tlkit_command("demo", "--json", "--seeds", "3", "--per-class", "4", "--target", "optdigits")
    assert result.code == 0
    assert quick_demo == [{"target": "optdigits", "per_class": 4, "seeds": 3}]
    rows = check_schema(result.out, "optdigits")
    runs = pd.DataFrame(fake_rows("optdigits", per_class=4, seeds=3)).groupby("method")
    for method, row in rows.items():
        assert row["target_accuracy"] == pytest.approx(runs.get_group(method)["target_accuracy"].mean())
    assert rows["raw pixels"]["source_accuracy"] is None
    assert rows["zero-shot"]["target_ci95"] is None
    assert result.err == ""
    assert is_png(tmp_path / "tlkit-demo-optdigits.png")


def test_demo_defaults_are_those_of_the_issue(tlkit_command: Command, quick_demo, tmp_path: Path) -> None:
    assert tlkit_command("demo", "--json").code == 0
    assert quick_demo == [{"target": "mnist", "per_class": 10, "seeds": 5}]
    assert [path.name for path in tmp_path.iterdir()] == ["tlkit-demo-mnist.png"]


def test_demo_prints_a_table_with_every_method(tlkit_command: Command, quick_demo, tmp_path: Path) -> None:
    result = tlkit_command("demo", "--seeds", "2", "--figure", str(tmp_path / "picture.png"))
    assert result.code == 0
    for place, method in enumerate(METHODS):
        line = next(line for line in result.out.splitlines() if method in line and "│" in line)
        assert f"{0.505 + 0.05 * place:.3f}" in line
        assert ("±" in line) == (method != "zero-shot")
    assert "nan" not in result.out.lower()
    assert "picture.png" in result.out
    assert is_png(tmp_path / "picture.png")


def test_demo_on_photographs_says_nothing_of_a_source(tlkit_command: Command, quick_demo, tmp_path: Path) -> None:
    result = tlkit_command("demo", "--target", "photos", "--seeds", "2")
    assert result.code == 0
    assert "ImageNet → photos" in result.out
    assert "Fine-tuning" not in result.out
    assert "source" not in result.out
    for method in METHODS:
        assert any(method in line and "│" in line for line in result.out.splitlines()) == (method in PHOTO_METHODS)
    assert is_png(tmp_path / "tlkit-demo-photos.png")


def test_demo_of_one_seed(tlkit_command: Command, quick_demo) -> None:
    rows = check_schema(tlkit_command("demo", "--json", "--seeds", "1").out, "mnist")
    assert all(row["target_ci95"] is None for row in rows.values())


def test_demo_names_the_method_that_runs(tlkit_command: Command, quick_demo, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the bar says while a method works is the name of that method, and not of the one before."""
    said: list[str] = []
    bars: list[Progress] = []

    def noted(console: Console) -> Progress:
        bars.append(Progress(console=console, disable=True))
        return bars[-1]

    def run_demo(target: str, *, starting: Callable[[int, str], None], **options: int):
        for row in fake_rows(target, **options):
            starting(row["seed"], row["method"])
            said.append(bars[0].tasks[0].description)
            yield row

    monkeypatch.setattr(cli, "_progress", noted)
    monkeypatch.setattr("tlkit.demo.run_demo", run_demo)
    assert tlkit_command("demo", "--seeds", "2").code == 0
    assert said == [f"seed {seed}: {method}" for seed in (0, 1) for method in METHODS]
    assert bars[0].tasks[0].completed == len(said)


@pytest.mark.parametrize("target", ["minst", "fashion", "printed", "", "a/b", "../mnist"])
def test_demo_bad_target(tlkit_command: Command, no_training, tmp_path: Path, target: str) -> None:
    assert_one_line_refusal(tlkit_command("demo", "--target", target), "mnist", f"got {target!r}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("per_class", ["0", "-1", "9999"])
def test_demo_bad_per_class(tlkit_command: Command, no_training, tmp_path: Path, per_class: str) -> None:
    assert_one_line_refusal(tlkit_command("demo", "--per-class", per_class), "per_class must be", f"got {per_class}")
    assert list(tmp_path.iterdir()) == []


def test_demo_bad_seeds(tlkit_command: Command, no_training, tmp_path: Path) -> None:
    assert_one_line_refusal(tlkit_command("demo", "--seeds", "0"), "seeds must be 1 or more", "got 0")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("figure", "fragment"),
    [("x.jpg", ".png"), ("x", ".png"), ("no/such/x.png", "existing folder"), ("taken.png", "folder")],
)
def test_demo_bad_figure(tlkit_command: Command, no_training, tmp_path: Path, figure: str, fragment: str) -> None:
    (tmp_path / "taken.png").mkdir()
    assert_one_line_refusal(tlkit_command("demo", "--figure", figure), "figure must", fragment, figure)


def test_demo_argument_that_is_no_number(tlkit_command: Command) -> None:
    result = tlkit_command("demo", "--seeds", "many")
    assert result.code == 2
    assert result.out == ""
    assert "--seeds" in result.err
    assert "integer" in result.err
    assert "Traceback" not in result.err


@pytest.mark.slow
def test_demo_shows_no_traceback(tmp_path: Path) -> None:
    run = run_python("-m", "tlkit", "demo", "--target", "minst", cwd=tmp_path)
    assert_one_line_refusal(Result(run.returncode, run.stdout, run.stderr), "Did you mean 'mnist'?")
    assert list(tmp_path.iterdir()) == []


def test_a_fault_of_our_own_is_not_called_the_users(tlkit_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(target: str, **options: int):
        raise TypeError("a fault")

    monkeypatch.setattr("tlkit.demo.run_demo", broken)
    monkeypatch.setattr(sys, "argv", ["tlkit", "demo"])
    with pytest.raises(TypeError, match="a fault"):
        cli.main()


# info


def test_version(tlkit_command: Command) -> None:
    assert tlkit_command("--version") == Result(0, f"tlkit {tlkit.__version__}\n", "")


def test_no_command_gives_help(tlkit_command: Command) -> None:
    result = tlkit_command()
    for name in ("demo", "lab", "info"):
        assert name in result.out + result.err


def test_info_says_that_all_is_whole(tlkit_command: Command) -> None:
    result = tlkit_command("info", "--no-devices")
    assert result.code == 0
    assert result.err == ""
    import keras

    assert re.search(rf"^ *keras +{re.escape(keras.__version__)}$", result.out, re.MULTILINE)
    for name in assets.asset_names():
        assert re.search(rf"^ *{re.escape(name)} +whole$", result.out, re.MULTILINE)
    assert "devices" not in result.out


def test_info_lists_devices(tlkit_command: Command) -> None:
    result = tlkit_command("info")
    assert result.code == 0
    assert "CPU" in result.out.split("devices")[1]


def test_info_reports_what_is_missing_or_altered(
    tlkit_command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "assets"
    shutil.copytree(Path(assets.__file__).parent, folder)
    with (folder / "mnist.npz").open("ab") as file:
        file.write(b"x")
    (folder / "fashion.npz").unlink()
    status = assets.asset_status
    monkeypatch.setattr(assets, "asset_status", lambda: status(folder))
    result = tlkit_command("info", "--no-devices")
    assert result.code == 1
    for name, state in (("mnist.npz", "altered"), ("fashion.npz", "missing"), ("printed.npz", "whole")):
        assert re.search(rf"^ *{re.escape(name)} +{state}$", result.out, re.MULTILINE)


def test_info_names_a_package_that_is_not_installed(tlkit_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    def version(package: str) -> str:
        if package == "jupyterlab":
            raise importlib.metadata.PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert re.search(r"jupyterlab +not installed", tlkit_command("info", "--no-devices").out)


def test_info_finds_tensorflow_under_its_other_name(tlkit_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    def version(package: str) -> str:
        if package == "tensorflow":
            raise importlib.metadata.PackageNotFoundError(package)
        return {"tensorflow-cpu": "2.0"}.get(package, "1.0")

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert re.search(r"^ *tensorflow +2\.0$", tlkit_command("info", "--no-devices").out, re.MULTILINE)


def test_a_broken_asset_is_one_line_in_the_demo(tlkit_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(target: str, **options: int):
        raise assets.AssetError("bundled file mnist.npz is missing: reinstall tlkit.")

    monkeypatch.setattr("tlkit.demo.run_demo", broken)
    assert_one_line_refusal(tlkit_command("demo"), "mnist.npz", "reinstall tlkit")


# lab


COURSE = {
    "notebooks/00_start_here.ipynb": '{"made": "first", "metadata": {}}',
    "notebooks/01_second.ipynb": '{"made": "second", "metadata": {}}',
    "notebooks/source/01_second.py": "",
    "notebooks/photos/cat/tom.jpg": "a cat",
    "exercises/release/ps1/ps1.ipynb": '{"made": "an exercise", "metadata": {}}',
    "exercises/STUDENTS.md": "a guide",
}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """JupyterLab is not started; the options that it would get are noted."""
    calls: list[list[str]] = []
    monkeypatch.setattr(cli, "_run_jupyterlab", calls.append)
    return calls


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation from a wheel, with a course of two notebooks, a picture and an exercise."""
    package = tmp_path_factory.mktemp("site-packages") / "tlkit"
    course = package / "course"
    for name, text in COURSE.items():
        (course / name).parent.mkdir(parents=True, exist_ok=True)
        (course / name).write_text(text)
    monkeypatch.setattr("tlkit.files.course._PACKAGE", package)
    return course


def root_dir(options: list[str]) -> Path:
    (option,) = (part for part in options if part.startswith("--ServerApp.root_dir="))
    return Path(option.split("=", 1)[1])


@needs_lab
@pytest.mark.parametrize("folder", ["mine", "deep/er/mine", None])
def test_lab_opens_a_copy_of_the_course_in_one_tree(
    tlkit_command: Command, started, installed: Path, tmp_path: Path, folder: str | None
) -> None:
    assert tlkit_command("lab", *([folder] if folder else []), "--no-browser").code == 0
    target = tmp_path / (folder or "tlkit-course")
    (options,) = started
    assert root_dir(options) == target.resolve()
    assert "--no-browser" in options
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in options
    copied = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert copied == {*COURSE, ".tlkit-course.json"} - {"notebooks/source/01_second.py"}

    assert tlkit_command("lab", *([folder] if folder else [])).code == 0
    assert not [option for option in started[1] if "default_url" in option]  # the second time as it was left
    assert "--no-browser" not in started[1]


@needs_lab
def test_lab_keeps_the_learners_work_and_brings_the_rest_up_to_date(
    tlkit_command: Command, started, installed: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    assert tlkit_command("lab", "mine").out == ""
    (mine / "notebooks" / "00_start_here.ipynb").write_text("my own notes")
    (mine / "other.txt").write_text("more")
    for name in ("00_start_here", "01_second"):
        (installed / "notebooks" / f"{name}.ipynb").write_text('{"made": "anew", "metadata": {}}')
    said = tlkit_command("lab", "mine").out
    assert said.splitlines() == [
        "mine: 1 notebook brought up to date.",
        "mine: 1 notebook with work of yours left alone.",
    ]
    assert (mine / "notebooks" / "00_start_here.ipynb").read_text() == "my own notes"
    assert (mine / "other.txt").read_text() == "more"
    assert json.loads((mine / "notebooks" / "01_second.ipynb").read_text())["made"] == "anew"


@needs_lab
def test_lab_on_a_file(tlkit_command: Command, started, installed: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("a file")
    assert_one_line_refusal(tlkit_command("lab", "mine"), "folder must be a folder", "mine")
    assert started == []


def test_lab_without_jupyterlab(
    tlkit_command: Command, started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "jupyterlab" else find(name, *rest)
    )
    assert_one_line_refusal(tlkit_command("lab", "mine"), "pip install 'tlkit[lab]'")
    assert started == []
    assert list(tmp_path.iterdir()) == []


@needs_lab
def test_lab_refuses_what_is_no_port(tlkit_command: Command, started) -> None:
    for port in ("0", "-1", "65536"):
        assert_one_line_refusal(tlkit_command("lab", f"--port={port}"), f"--port must be 1 to 65535, got {port}.")
    assert started == []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@needs_lab
@pytest.mark.slow
@pytest.mark.bank  # it starts two JupyterLabs; the browser tests have one
@pytest.mark.skipif(os.name != "posix", reason="sends a signal as the system does")
def test_lab_ends_with_its_process_and_frees_its_port(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "tlkit", "lab", "mine", "--no-browser", "--port", str(port)]
    places = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    environment = {**os.environ, **places, "PYTHONPATH": str(Path(cli.__file__).resolve().parents[1])}
    with (tmp_path / "log").open("wb") as log:
        lab = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 90
        while not is_taken(port):
            assert lab.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
        # Who asks for this port gets this port or nothing, and JupyterLab's exit code.
        second = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=90)
        assert second.returncode == 1
        assert f"port {port} is not available" in second.stderr
        started_by_it = psutil.Process(lab.pid).children(recursive=True)
        lab.terminate()
        lab.wait(20)
        assert not is_taken(port)
        assert not any(process.is_running() for process in started_by_it)
    finally:
        lab.kill()
        lab.wait()


# The feature store


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """The user's store, in a folder that does not exist yet."""
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "features"))
    return Store(tmp_path / "features")


def fill(store: Store, *mebibytes: float) -> int:
    """Stores arrays of these sizes; how many bytes the files take."""
    for number, size in enumerate(mebibytes):
        array = np.full((int(size * 2**20), 1), number, np.uint8)
        with store.writer(f"{number:032x}", array.shape, array.dtype) as writer:
            writer.append(array)
            writer.commit()
    return sum(path.stat().st_size for path in store.folder.iterdir())


def in_mebibytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


@pytest.mark.parametrize("sizes", [(1.5,), (0.3, 2.25, 0.7)])
def test_cache_info_agrees_with_the_folder(tlkit_command: Command, store: Store, sizes: tuple[float, ...]) -> None:
    size = fill(store, *sizes)
    (store.folder / "notes.txt").write_text("mine, and no array")
    result = tlkit_command("cache", "info")
    assert (result.code, result.err) == (0, "")
    place, figures = result.out.splitlines()
    assert place == str(store.folder)
    assert re.match(rf"\s*{len(sizes)} arrays?\b", figures)
    assert in_mebibytes(size) in figures
    assert f"{store.limit_bytes // 2**20:,} MiB" in figures
    assert len(store.entries()) == len(sizes)  # looking removes nothing


def test_cache_clear_removes_what_it_says(tlkit_command: Command, store: Store) -> None:
    size = fill(store, 0.5, 1.25)
    (store.folder / "notes.txt").write_text("mine")
    result = tlkit_command("cache", "clear")
    assert (result.code, result.err) == (0, "")
    assert "2 arrays" in result.out
    assert in_mebibytes(size) in result.out
    assert str(store.folder) in result.out
    assert [path.name for path in store.folder.iterdir()] == ["notes.txt"]
    again = tlkit_command("cache", "clear")
    assert again.code == 0
    assert "0 arrays" in again.out
    assert "0.0 MiB" in again.out


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("command", ["info", "clear"])
def test_cache_of_an_empty_or_missing_folder(tlkit_command: Command, store: Store, command: str, there: bool) -> None:
    if there:
        store.folder.mkdir()
    result = tlkit_command("cache", command)
    assert (result.code, result.err) == (0, "")
    assert "0 arrays" in result.out
    assert "0.0 MiB" in result.out
    assert store.folder.exists() == there


@pytest.mark.slow
def test_cache_counts_what_cache_features_stored(tlkit_command: Command, store: Store) -> None:
    from helpers import random_split, toy_backbone

    from tlkit.features import cache_features, split_at

    backbone, data = toy_backbone(), random_split(30)
    for stage in (0, 1, 2):
        cache_features(split_at(backbone, stage)[0], data)
    assert "2 arrays" in tlkit_command("cache", "info").out
    assert "2 arrays" in tlkit_command("cache", "clear").out
    cached = cache_features(backbone.model, data)
    np.testing.assert_allclose(cached.x, backbone.model.predict(data.x, verbose=0), rtol=1e-5, atol=1e-6)


def test_cache_alone_shows_its_commands(tlkit_command: Command, store: Store) -> None:
    result = tlkit_command("cache")
    for name in ("info", "clear"):
        assert name in result.out + result.err
    assert not store.folder.exists()


# Without TensorFlow

HEAVY = {
    "tensorflow",
    "keras",
    "numpy",
    "pandas",
    "scipy",
    "sklearn",
    "matplotlib",
    "seaborn",
    "PIL",
    "jupyterlab",
    "IPython",
}

AFTER = """
import sys
sys.argv = ["tlkit", *sys.argv[1:]]
try:
    from tlkit.cli import main
    main()
finally:
    print("\\nLOADED", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("info", "--no-devices"), ("demo", "--help")])
def test_what_needs_no_tensorflow_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    run = run_python("-c", AFTER, *arguments)
    assert run.returncode == 0, run.stderr
    loaded = set(run.stdout.splitlines()[-1].split()[1:])
    assert "tlkit" in loaded
    assert loaded & HEAVY == set()
