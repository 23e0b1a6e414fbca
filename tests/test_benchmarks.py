"""The benchmarks run and report what they promise; how fast anything is, no test says."""

import importlib
import json
import subprocess
import sys

import pytest
from helpers import ROOT, run_python
from typer.testing import CliRunner

sys.path.insert(0, str(ROOT))  # benchmarks/ lies in the checkout, not in the installed package

from benchmarks import __main__ as command
from benchmarks import accelerator, measure, resnet50, scale, startup

FIGURES = {"median", "min", "max"}


def assert_figures(figures: dict[str, float]) -> None:
    assert set(figures) == FIGURES
    assert 0 < figures["min"] <= figures["median"] <= figures["max"]


def cli(*arguments: str):
    import typer

    app = typer.Typer(add_completion=False)
    app.command()(command.main)
    return CliRunner().invoke(app, list(arguments))


# measure


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.0], (2, 2, 2)),
        ([3.0, 1.0, 2.0], (2, 1, 3)),
        ([4.0, 1.0, 3.0, 2.0], (2.5, 1, 4)),
        ([1.0, 1.0, 100.0], (1, 1, 100)),
    ],
)
def test_summary(values: list[float], expected: tuple[float, float, float]) -> None:
    assert measure.summary(values) == dict(zip(("median", "min", "max"), expected, strict=True))


def test_ratios_are_of_medians() -> None:
    results = {"slow": measure.summary([8.0, 6.0, 100.0]), "fast": measure.summary([1.0, 2.0, 3.0]), "note": "none"}
    found = measure.ratios(results, ("slow", "fast"), ("fast", "slow"))
    assert list(found.values()) == [4.0, 0.25]
    assert all("ratio of medians" in name for name in found)
    assert [name.startswith(first) for name, first in zip(found, ("slow", "fast"), strict=True)] == [True, True]
    assert measure.ratios(results) == {}


def test_contestants_take_turns() -> None:
    calls: list[str] = []
    results = measure.alternate({"one": lambda: calls.append("one"), "two": lambda: calls.append("two")}, 3)
    assert calls == ["one", "two"] * 3
    assert list(results) == ["one", "two"]
    for figures in results.values():
        assert_figures(figures)


def test_seconds_are_those_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.5])
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(clock))
    done: list[int] = []
    assert measure.seconds(lambda: done.append(1)) == 2.5
    assert done == [1]


def test_the_machine_is_described_and_not_named() -> None:
    import platform

    described = measure.machine()
    assert {"date", "cores", "threads", "python", "tensorflow", "keras", "numpy"} <= set(described)
    json.dumps(described)
    assert not platform.node() or platform.node() not in json.dumps(described)


# The command


@pytest.mark.parametrize("name", command.NAMES)
def test_each_name_is_a_benchmark(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    assert callable(module.run)
    assert module.__doc__


def test_json_is_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = {"a": measure.summary([1.0, 3.0, 2.0]), "a over b, ratio of medians": 0.5, "device": "none"}
    monkeypatch.setattr(startup, "run", lambda: figures)
    result = cli("startup", "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["startup"] == figures
    assert report["machine"] == measure.machine()
    assert len(result.stdout.strip().splitlines()) == 1


def test_the_table_holds_every_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = {"a": measure.summary([1.0, 3.0, 2.0]), "ratio": 0.5, "inner": {"b": measure.summary([7.0])}}
    monkeypatch.setattr(startup, "run", lambda: figures)
    result = cli("startup")
    assert result.exit_code == 0
    for text in ("startup", "a: 2.000 s (1.000 to 3.000)", "ratio: 0.50", "b: 7.000 s (7.000 to 7.000)"):
        assert text in result.stdout


def test_without_a_name_all_are_run_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in command.NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        monkeypatch.setattr(module, "run", lambda name=name: done.append(name) or {})
    result = cli("--json")
    assert result.exit_code == 0
    assert tuple(done) == command.NAMES
    assert list(json.loads(result.stdout)) == ["machine", *command.NAMES]


def test_an_unknown_name_is_refused() -> None:
    run = run_python("-m", "benchmarks", "frozzen", cwd=ROOT)
    assert run.returncode == 2
    assert run.stdout == ""
    assert "Traceback" not in run.stderr
    assert "frozzen" in run.stderr
    assert "frozen" in run.stderr.replace("frozzen", "")


# The benchmarks

MEASURED = set(startup.COMMANDS) | ({"tlkit demo, first output"} if sys.platform != "win32" else set())


@pytest.mark.slow
@pytest.mark.bank
def test_startup() -> None:
    results = startup.run(repeats=1)
    assert set(results) == MEASURED
    for figures in results.values():
        assert_figures(figures)
        assert figures["min"] == figures["max"]


def test_startup_starts_a_process_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(startup.subprocess, "run", lambda command, **_: started.append(command))
    results = startup.run(repeats=2)
    assert [line[1:] for line in started] == [*startup.COMMANDS.values()] * 2
    assert {line[0] for line in started} == {sys.executable}
    assert set(results) == MEASURED


def test_startup_does_not_measure_a_command_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "COMMANDS", {"broken": ["-c", "raise SystemExit(3)"]})
    with pytest.raises(subprocess.CalledProcessError):
        startup.run(repeats=1)


def test_accelerator_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from tlkit._keras import tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
    monkeypatch.setattr(accelerator, "make_data", lambda: pytest.fail("there was nothing to measure"))
    results = accelerator.run()
    assert list(results) == ["device"]
    assert len(results["device"].splitlines()) == 1
    assert "no accelerator" in results["device"]


def test_the_frozen_comparison_leaves_the_first_round_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import frozen

    ways = {"plain": [9.0, 8.0, 6.0], "tlkit": [9.0, 9.0, 2.0, 1.0, 4.0, 1.0], "floor": [9.0, 1.0, 3.0]}
    clocks = {name: iter(values) for name, values in ways.items()}
    folders: list[object] = []

    def with_tlkit(data: object, *, stage: int, cache_dir: object) -> float:
        folders.append(cache_dir)
        return next(clocks["tlkit"])

    monkeypatch.setattr(frozen, "make_data", lambda: None)
    monkeypatch.setattr(frozen, "plain_keras", lambda data, **_: next(clocks["plain"]))
    monkeypatch.setattr(frozen, "with_tlkit", with_tlkit)
    monkeypatch.setattr(frozen, "floor", lambda data, **_: next(clocks["floor"]))
    results = frozen.run(repeats=2)
    assert [results[name]["median"] for name in ("plain", "cold", "warm", "floor")] == [7, 3, 1, 2]
    assert list(results.values())[4:] == [7 / 3, 7, 1.5]
    assert folders[0::2] == folders[1::2]  # warm finds what cold left
    assert len(set(folders)) == 3  # and each round begins cold


def test_scale_compares_with_linear_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    class Output:
        def __init__(self, count: int) -> None:
            self.stdout = f"a word\n{json.dumps({'seconds': count / 10 + 1, 'peak MiB': 100 + count / 10})}\n"

    counts = (10, 20, 40)
    monkeypatch.setattr(scale, "_write_images", lambda *_: None)
    monkeypatch.setattr(scale.subprocess, "run", lambda command, **_: Output(int(command[4])))
    results = scale.run(counts)
    for source in ("map", "folder"):
        assert results[f"{source}, 20 images"] == {"seconds": 3.0, "peak MiB": 102.0}
        growth, memory = (value for name, value in results.items() if name.startswith(f"{source}: "))
        assert growth == pytest.approx(5 / 2 / 4)
        assert memory == pytest.approx(104 / 102)


@pytest.mark.slow
@pytest.mark.bank
def test_a_tiny_scale_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # its children are started with -m benchmarks.scale
    results = scale.run(counts=(20, 40))
    for source in ("map", "folder"):
        for count in (20, 40):
            figures = results.pop(f"{source}, {count} images")
            assert set(figures) == {"seconds", "peak MiB"}
            assert min(figures.values()) > 0
    assert set(results) == {
        f"{source}: {what}"
        for source in ("map", "folder")
        for what in ("seconds, 40 against 20 images, over linear", "peak memory, 40 against 40 images")
    }
    assert min(results.values()) > 0


def test_all_ways_are_measured_on_the_same_data() -> None:
    import numpy as np

    one, other = resnet50.make_data(), resnet50.make_data()
    assert (len(one.train), len(one.validation)) == (100, 50)
    assert one.train.x.shape[1:] == (224, 224, 3)
    for part in ("train", "validation"):
        for array in ("x", "y"):
            np.testing.assert_array_equal(getattr(getattr(one, part), array), getattr(getattr(other, part), array))


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.parametrize("job", ["frozen", "conv5"])
def test_plain_keras_trains_what_tlkit_trains(job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from tlkit._keras import keras
    from tlkit._steps import Steps
    from tlkit.freezing import count_weights

    trained: list[tuple[int, int]] = []

    def fit(model: keras.Model, *args: object, epochs: int, **options: object) -> keras.callbacks.History:
        trained.append((count_weights(model).trainable, epochs))
        return keras.callbacks.History()

    def run_epochs(steps: Steps, *args: object, epochs: int, **options: object) -> list[None]:
        trained.append((count_weights(steps.model).trainable, epochs))
        return []

    stage, trainable_from = accelerator.JOBS[job]
    data = resnet50.make_data(image_size=32)
    monkeypatch.setattr(keras.Model, "fit", fit)
    monkeypatch.setattr("tlkit.training.run_epochs", run_epochs)
    resnet50.plain_keras(data, trainable_from=trainable_from)
    resnet50.with_tlkit(data, stage=stage, cache_dir="memory")
    resnet50.floor(data, stage=stage)
    assert trained[0] == trained[1] == trained[2]
    assert trained[0][1] == resnet50.EPOCHS
