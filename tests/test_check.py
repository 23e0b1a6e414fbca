"""`tlkit check MODEL.keras`: exit codes, what is printed and where, and what is refused."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers import KERAS_SAVES_WITH_A_WARNING, run_python
from PIL import Image
from rich.console import Console
from rich.status import Status
from traps import CLASSES, LOGITS, compiled, fitted, frozen_but, small_base, with_head

from tlkit import cli
from tlkit._keras import keras
from tlkit.audit import RULES

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)


class Result(NamedTuple):
    code: int
    out: str
    err: str


Check = Callable[..., Result]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Check:
    """Saves a model (or takes a path) and runs ``tlkit check`` on it, in this process and in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(model: keras.Model | str, *arguments: str) -> Result:
        if not isinstance(model, str):
            model.save(tmp_path / "model.keras")
            model = "model.keras"
        monkeypatch.setattr(sys, "argv", ["tlkit", "check", model, *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        code = stop.value.code
        assert code is None or isinstance(code, int)
        return Result(code or 0, out, err)

    return run


def refused(result: Result, *fragments: str) -> None:
    assert result.code == 2, result
    assert result.out == ""
    assert len(result.err.strip().splitlines()) == 1, result.err
    assert result.err.startswith("tlkit: ")
    for fragment in fragments:
        assert fragment in result.err


def read_json(text: str) -> dict[str, Any]:
    """The one object on stdout; NaN is no JSON."""

    def no_constant(name: str) -> None:
        pytest.fail(f"{name} is not JSON")

    report = json.loads(text, parse_constant=no_constant)
    assert set(report) == {"findings", "unchecked"}
    for finding in report["findings"]:
        assert set(finding) == {"rule", "severity", "evidence", "fix", "notebook"}
        assert finding["severity"] in ("error", "warning", "note")
        assert all(isinstance(value, str) and value for value in finding.values())
    names = {rule.name for rule in RULES}
    assert set(report["unchecked"]) <= names
    assert {finding["rule"] for finding in report["findings"]} <= names
    return report


def rules_in(report: dict[str, Any]) -> set[str]:
    return {finding["rule"] for finding in report["findings"] if finding["severity"] != "note"}


def digits_model(*, activation: str | None = None, loss: Any = LOGITS, shape: tuple[int, ...] = (28, 28, 1)) -> Any:
    image = keras.Input(shape)
    x = keras.layers.Conv2D(4, 3, strides=3, name="conv")(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(10, activation=activation, name="head")(x), name="digits")
    return compiled(model, loss)


# Exit codes ---------------------------------------------------------------------------------------------------------


def test_a_sound_model(check: Check) -> None:
    result = check(digits_model(), "--data", "mnist")
    assert result.code == 0
    assert result.err == ""
    assert "nothing found" in result.out
    assert "not checked" in result.out


def test_a_model_with_an_error(check: Check) -> None:
    result = check(digits_model(activation="softmax"))
    assert result.code == 1
    assert result.err == ""
    assert "probabilities-read-as-logits" in result.out
    assert "1 error" in result.out


def test_a_warning_alone_is_no_failure(check: Check) -> None:
    image = keras.Input((8, 8, 1))
    x = keras.layers.BatchNormalization()(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image)))
    model = fitted(compiled(keras.Model(image, keras.layers.Dense(CLASSES)(x))))
    result = check(model)
    assert "batchnorm-momentum-too-slow" in result.out
    assert "1 warning" in result.out
    assert result.code == 0


def test_a_model_that_was_not_compiled(check: Check) -> None:
    result = check(with_head(small_base()))
    assert result.code == 0
    assert result.err == ""
    assert "model not compiled" in result.out


def test_everything_frozen_is_said_without_a_warning_of_keras(check: Check) -> None:
    model = digits_model()
    model.trainable = False
    result = check(compiled(model), "--data", "mnist")
    assert result.code == 1
    assert result.err == ""
    assert "head-frozen" in result.out


# Data ---------------------------------------------------------------------------------------------------------------


def test_a_bundled_domain_is_used(check: Check) -> None:
    report = read_json(check(digits_model(), "--data", "mnist", "--json").out)
    assert rules_in(report) == set()
    without = read_json(check(digits_model(), "--json").out)
    assert "class-count" in without["unchecked"]
    assert "class-count" not in report["unchecked"]
    assert "near-duplicate-in-two-splits" not in report["unchecked"]


def test_the_classes_of_the_data_are_counted(check: Check) -> None:
    result = check(digits_model(), "--data", "printed", "--json")
    assert result.code == 1
    assert "class-count" in rules_in(read_json(result.out))


def image_folder(folder: Path, *, channels: int = 3, size: int = 20) -> Path:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog", "owl"):
        (folder / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, 256, (size, size, channels), dtype=np.uint8)
            Image.fromarray(pixels.squeeze()).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.parametrize(("shape", "stored"), [((16, 24, 3), 3), ((16, 16, 1), 3), ((16, 16, 3), 1)])
def test_a_folder_is_read_as_the_model_takes_it(
    check: Check, tmp_path: Path, shape: tuple[int, ...], stored: int
) -> None:
    folder = image_folder(tmp_path / "animals", channels=stored)
    result = check(digits_model(shape=shape), "--data", str(folder), "--json")
    report = read_json(result.out)
    assert "input-statistics" in report["unchecked"]  # no network of that name; the data were read
    assert "weights-move-while-frozen" not in report["unchecked"]
    assert rules_in(report) == {"class-count"}  # three folders, ten outputs


def test_a_folder_with_the_same_image_twice(check: Check, tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "animals")
    for i in range(12, 40):
        (folder / "cat" / f"{i}.png").write_bytes((folder / "cat" / "0.png").read_bytes())
    report = read_json(check(digits_model(shape=(20, 20, 3)), "--data", str(folder), "--json").out)
    assert "same-image-in-two-splits" in rules_in(report)


def test_data_of_another_shape_is_a_partial_report(check: Check) -> None:
    result = check(digits_model(shape=(16, 16, 3)), "--data", "mnist")
    assert result.code in (0, 1)
    assert result.err == ""
    assert "not checked" in result.out
    assert "Traceback" not in result.out
    assert "in this rule" not in result.out


# A backbone inside --------------------------------------------------------------------------------------------------


def test_a_backbone_that_should_be_frozen(check: Check) -> None:
    model = compiled(with_head(small_base()))
    report = read_json(check(model, "--backbone", "base", "--intended-stage", "1", "--json").out)
    assert "weights-move-while-frozen" in rules_in(report) or "batchnorm-moves-after-unfreezing" in rules_in(report)
    base = small_base()
    base.trainable = False
    result = check(compiled(with_head(base)), "--backbone", "base", "--intended-stage", "1", "--json")
    assert rules_in(read_json(result.out)) == set()
    assert result.code == 0


def test_a_backbone_that_should_learn(check: Check) -> None:
    base = small_base()
    base.trainable = False
    result = check(compiled(with_head(base)), "--backbone", "base", "--intended-stage", "0", "--json")
    assert result.code == 1
    assert rules_in(read_json(result.out)) == {"unfreeze-without-effect"}


def test_a_misspelt_backbone_is_refused(check: Check) -> None:
    model = compiled(with_head(small_base()))
    refused(check(model, "--backbone", "bse"), "backbone", "base", "'bse'")
    refused(check(model, "--backbone", "head"), "backbone", "base", "'head'")


def test_a_stage_needs_its_backbone(check: Check) -> None:
    model = compiled(with_head(small_base()))
    refused(check(model, "--intended-stage", "1"), "--intended-stage", "--backbone", "1")
    refused(check(model, "--backbone", "base", "--intended-stage", "2"), "intended_stage", "2")


def test_a_frozen_base_whose_batchnorm_learns_needs_no_name(check: Check, tmp_path: Path) -> None:
    base = frozen_but(small_base(), keras.layers.BatchNormalization)
    folder = image_folder(tmp_path / "animals", channels=1)
    result = check(compiled(with_head(base)), "--data", str(folder), "--json")
    report = read_json(result.out)
    assert result.code == 0
    assert rules_in(report) == {"batchnorm-moves-after-unfreezing"}
    (evidence,) = [finding["evidence"] for finding in report["findings"] if finding["severity"] == "warning"]
    assert evidence.startswith("1 of 1 BatchNorm layer beside 1 frozen layer will learn: base/bn; one step moved ")
    sound = read_json(check(compiled(with_head(frozen_but(small_base()))), "--data", str(folder), "--json").out)
    assert rules_in(sound) == set()
    assert "batchnorm-moves-after-unfreezing" not in sound["unchecked"]


def test_flags_survive_the_file(check: Check) -> None:
    # A training that went on after it: what is saved is frozen, and is so when loaded.
    base = small_base()
    base.trainable = False
    model = fitted(compiled(with_head(base)))
    report = read_json(check(model, "--json").out)
    assert rules_in(report) == set()


# JSON ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("--data", "mnist")])
@pytest.mark.parametrize("activation", [None, "softmax"])
def test_json_is_one_object_and_nothing_else(check: Check, arguments: tuple[str, ...], activation: str | None) -> None:
    result = check(digits_model(activation=activation), *arguments, "--json")
    assert result.err == ""
    report = read_json(result.out)
    assert (result.code == 1) == any(finding["severity"] == "error" for finding in report["findings"])


def test_table_and_json_agree(check: Check) -> None:
    model = digits_model(activation="softmax")
    table, report = check(model, "--unchecked").out, read_json(check(model, "--json").out)
    for finding in report["findings"]:
        assert finding["rule"] in table
        assert finding["severity"] in table
        assert finding["notebook"] in table
    for rule in report["unchecked"]:
        assert rule in table.replace("\n", " ")


def test_rules_that_were_not_applied_are_counted_by_reason_and_named_on_demand(check: Check) -> None:
    unchecked = read_json(check(digits_model(), "--json").out)["unchecked"]
    lines = check(digits_model()).out.splitlines()
    assert not [rule for rule in unchecked if any(rule in line for line in lines)]
    without_data = sum(reason == "no train data given" for reason in unchecked.values())
    assert lines[-1].startswith(f"{len(unchecked)} rules not checked: no train data given ({without_data}), ")
    assert "--unchecked" in lines[-1]
    named = check(digits_model(), "--unchecked").out.replace("\n", " ")
    assert all(rule in named and reason in named for rule, reason in unchecked.items())


def test_a_terminal_sees_what_is_being_done(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    status = Console.status

    def noting(console: Console, text: str, **options: Any) -> Status:
        said.append(f"{'stderr' if console.stderr else 'stdout'}: {text}")
        return status(console, text, **options)

    monkeypatch.setattr(Console, "status", noting)
    check(digits_model(), "--data", "mnist")
    assert said == ["stderr: loading TensorFlow and model.keras", f"stderr: applying {len(RULES)} rules"]


# Refusals -----------------------------------------------------------------------------------------------------------


def test_a_missing_file(check: Check) -> None:
    refused(check("nothing.keras"), "existing .keras file", "nothing.keras")


def test_a_folder_or_another_kind_of_file(check: Check, tmp_path: Path) -> None:
    (tmp_path / "folder.keras").mkdir()
    (tmp_path / "notes.txt").write_text("weights")
    for name in ("folder.keras", "notes.txt"):
        refused(check(name), "existing .keras file", name)


@pytest.mark.parametrize("content", [b"", b"no model at all", b"PK\x03\x04 half of one"])
def test_a_file_that_is_no_model(check: Check, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.keras").write_bytes(content)
    refused(check("broken.keras"), "MODEL must be a model that Keras can load in safe mode", "broken.keras")


def test_code_in_the_file_is_not_run(check: Check, tmp_path: Path) -> None:
    marker = tmp_path / "was_run"
    image = keras.Input((8, 8, 1))
    x = keras.layers.Lambda(lambda x: (__import__("pathlib").Path("was_run").touch(), x)[1], (8, 8, 1))(image)
    model = keras.Model(image, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(x)))
    marker.unlink(missing_ok=True)
    refused(check(model), "safe mode", "model.keras")
    assert not marker.exists()


def test_a_class_that_is_not_known_here(check: Check) -> None:
    class Own(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return 2.0 * x

    image = keras.Input((8, 8, 1))
    model = keras.Model(image, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(Own()(image))))
    refused(check(model), "MODEL must be a model that Keras can load", "Own")


def test_a_model_with_several_outputs(check: Check) -> None:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(image)
    model = keras.Model(image, [keras.layers.Dense(2, name="one")(x), keras.layers.Dense(3, name="two")(x)])
    refused(check(model), "one output", "2")


@pytest.mark.parametrize("data", ["mnsit", "no/such/folder"])
def test_data_that_is_neither(check: Check, data: str) -> None:
    refused(check(digits_model(), "--data", data), "--data must be a folder or one of", "'mnist'", repr(data))


def test_a_folder_for_a_model_without_an_image_size(check: Check, tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "animals")
    refused(check(digits_model(shape=(None, None, 3)), "--data", str(folder)), "one size", "None")
    image = keras.Input((5,))
    flat = compiled(keras.Model(image, keras.layers.Dense(CLASSES)(image)))
    refused(check(flat, "--data", str(folder)), "images of one size", "(None, 5)")


def test_a_folder_without_classes(check: Check, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(check(digits_model(), "--data", "empty"), "class folders")


def test_a_model_of_two_inputs_gets_a_partial_report(check: Check) -> None:
    first, second = keras.Input((8, 8, 1), name="left"), keras.Input((8, 8, 1), name="right")
    x = keras.layers.Concatenate()([keras.layers.Flatten()(first), keras.layers.Flatten()(second)])
    model = compiled(keras.Model([first, second], keras.layers.Dense(10)(x)))
    result = check(model, "--data", "mnist")
    assert result.code == 0
    assert result.err == ""
    assert "in this rule" not in result.out


# From a shell -------------------------------------------------------------------------------------------------------


def test_from_a_shell_only_the_report_is_printed(tmp_path: Path) -> None:
    model = fitted(compiled(with_head(small_base(), activation="softmax"), "sparse_categorical_crossentropy"))
    compiled(model, LOGITS)  # while it trains, Keras would warn of it
    model.save(tmp_path / "model.keras")
    result = run_python("-m", "tlkit", "check", "model.keras", "--data", "mnist", "--json", cwd=tmp_path)
    assert result.returncode == 1, result
    assert result.stderr == ""
    assert "probabilities-read-as-logits" in rules_in(read_json(result.stdout))
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_help_does_not_wait_for_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys; from tlkit import cli; sys.argv = ['tlkit', 'check', '--help']\n"
        "try: cli.main()\n"
        "except SystemExit as stop: print(stop.code, 'tensorflow' in sys.modules)"
    )
    result = run_python("-c", code, cwd=tmp_path)
    assert result.stdout.splitlines()[-1] == "0 False", result
    assert "--intended-stage" in result.stdout


def test_the_file_is_left_alone(check: Check, tmp_path: Path) -> None:
    digits_model().save(tmp_path / "mine.keras")
    before = (tmp_path / "mine.keras").read_bytes()
    assert check("mine.keras", "--data", "mnist").code == 0
    assert (tmp_path / "mine.keras").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.keras"]
