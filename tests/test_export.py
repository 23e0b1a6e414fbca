"""Export: the file predicts what the notebook predicted, for anybody, and files from elsewhere are not trusted."""

import contextlib
import errno
import importlib.util
import json
import os
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import (
    KERAS_SAVES_WITH_A_WARNING,
    no_file_above,
    raises_one_line,
    random_split,
    run_python,
    toy_backbone,
    toy_model,
)
from PIL import Image

from tlkit import cli
from tlkit._keras import keras, tf
from tlkit.backbones import Backbone
from tlkit.evaluation import predict_probabilities
from tlkit.export import Exported, export_model, find_pictures, load_exported, predict_images
from tlkit.heads import build_head, join

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)

CLASSES = ("ant", "bee", "çat [bold]")


@pytest.fixture(scope="module")
def toy_pair() -> tuple[Backbone, keras.Model]:
    backbone = toy_backbone(seed=3)
    return backbone, build_head(backbone, 3, seed=4)


@pytest.fixture(scope="module")
def exported(toy_pair: tuple[Backbone, keras.Model], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "toy.keras"
    assert export_model(toy_pair, path, classes=CLASSES, name="my toy") == (path,)
    return path


@pytest.fixture(scope="module")
def loaded(exported: Path) -> Exported:
    return load_exported(exported)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty grey pictures of the size that the toy takes, so that they are read as they are."""
    folder = tmp_path_factory.mktemp("pictures")
    for i, image in enumerate(random_split(40).x):
        Image.fromarray(image[:, :, 0]).save(folder / f"{i:02}.png")
    return folder


def probabilities(toy_pair: tuple[Backbone, keras.Model]) -> np.ndarray:
    backbone, head = toy_pair
    return predict_probabilities(join(backbone.model, head), random_split(40))


# The same probabilities


def test_the_command_in_a_fresh_process_predicts_what_the_notebook_predicted(
    toy_pair: tuple[Backbone, keras.Model], exported: Path, pictures: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere.keras"
    shutil.copyfile(exported, moved)
    run = run_python("-m", "tlkit", "predict", str(moved), str(pictures), "--top", "3", "--json", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert (answer["model"], answer["unreadable"], len(answer["rows"])) == ("my toy", [], 120)
    found = np.full((40, 3), np.nan)
    for row in answer["rows"]:
        found[int(Path(row["file"]).stem), CLASSES.index(row["class"])] = row["probability"]
    np.testing.assert_allclose(found, probabilities(toy_pair), rtol=0, atol=1e-5)


def test_the_file_needs_no_tlkit(toy_pair: tuple[Backbone, keras.Model], exported: Path) -> None:
    with zipfile.ZipFile(exported) as file:
        assert b"tlkit" not in file.read("config.json")
        assert tuple(json.loads(file.read("tlkit.json"))["classes"]) == CLASSES
    plain = keras.models.load_model(exported, safe_mode=True)
    x = random_split(40).x
    np.testing.assert_allclose(plain.predict(x, verbose=0), probabilities(toy_pair), rtol=0, atol=1e-5)


def test_what_was_loaded_says_what_it_takes_and_gives(loaded: Exported) -> None:
    assert (loaded.name, loaded.classes, loaded.input_shape) == ("my toy", CLASSES, (8, 8, 1))


def test_a_whole_model_is_exported_like_a_backbone_and_its_head(
    toy_pair: tuple[Backbone, keras.Model], loaded: Exported, tmp_path: Path
) -> None:
    backbone, head = toy_pair
    export_model(join(backbone.model, head), tmp_path / "whole.keras", classes=CLASSES)
    whole = load_exported(tmp_path / "whole.keras")
    x = random_split(9).x
    np.testing.assert_array_equal(whole.model.predict(x, verbose=0), loaded.model.predict(x, verbose=0))
    assert whole.name == "toy_head"


@pytest.mark.parametrize("as_layer", [False, True], ids=["activation", "layer"])
def test_a_softmax_that_is_there_is_not_doubled(as_layer: bool, tmp_path: Path) -> None:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Dense(3, activation=None if as_layer else "softmax")(keras.layers.Flatten()(image))
    model = keras.Model(image, keras.layers.Softmax()(x) if as_layer else x)
    export_model(model, tmp_path / "model.keras", classes=CLASSES)
    pictures = random_split(5).x / np.float32(255)
    ours = load_exported(tmp_path / "model.keras").model.predict(pictures, verbose=0)
    np.testing.assert_allclose(ours, model.predict(pictures, verbose=0), rtol=0, atol=1e-6)


def test_the_optimizer_is_not_written(toy_pair: tuple[Backbone, keras.Model], exported: Path, tmp_path: Path) -> None:
    whole = join(toy_pair[0].model, toy_pair[1])
    whole.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    whole.optimizer.build(whole.trainable_variables)
    export_model(whole, tmp_path / "compiled.keras", classes=CLASSES)
    assert not keras.models.load_model(tmp_path / "compiled.keras").compiled
    assert (tmp_path / "compiled.keras").stat().st_size < 1.1 * exported.stat().st_size


# Other formats


def test_litert_gives_the_same_probabilities(toy_pair: tuple[Backbone, keras.Model], tmp_path: Path) -> None:
    if not hasattr(tf, "lite"):
        pytest.skip("this TensorFlow has no tf.lite")
    files = export_model(toy_pair, tmp_path / "toy.keras", classes=CLASSES, formats=("litert", "keras"))
    assert [file.name for file in files] == ["toy.tflite", "toy.keras"]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    with zipfile.ZipFile(files[0]) as file:
        assert tuple(file.read("labels.txt").decode().splitlines()) == CLASSES
    with pytest.warns(UserWarning, match="deprecated"):  # in favour of ai_edge_litert, which reads the same file
        interpreter = tf.lite.Interpreter(str(files[0]))
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(taken["index"], (40, 8, 8, 1))
    interpreter.allocate_tensors()
    interpreter.set_tensor(taken["index"], random_split(40).x.astype(np.float32))
    interpreter.invoke()
    np.testing.assert_allclose(interpreter.get_tensor(given["index"]), probabilities(toy_pair), rtol=0, atol=1e-3)


def test_onnx_gives_the_same_probabilities(toy_pair: tuple[Backbone, keras.Model], tmp_path: Path) -> None:
    pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    (path,) = export_model(toy_pair, tmp_path / "toy.keras", classes=CLASSES, formats="onnx")
    session = runtime.InferenceSession(path)
    assert tuple(json.loads(session.get_modelmeta().custom_metadata_map["classes"])) == CLASSES
    (found,) = session.run(None, {session.get_inputs()[0].name: random_split(40).x.astype(np.float32)})
    np.testing.assert_allclose(found, probabilities(toy_pair), rtol=0, atol=1e-3)


def test_a_library_that_is_not_there_is_named_before_anything_is_written(
    toy_pair: tuple[Backbone, keras.Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else find(name))
    with raises_one_line(ImportError, "ONNX", "pip install tf2onnx"):
        export_model(toy_pair, tmp_path / "toy.keras", classes=CLASSES, formats=("keras", "onnx"))
    monkeypatch.delattr(tf.lite, "TFLiteConverter")
    with raises_one_line(ImportError, "LiteRT", "tf.lite"):
        export_model(toy_pair, tmp_path / "toy.keras", classes=CLASSES, formats=("keras", "litert"))
    assert list(tmp_path.iterdir()) == []


def test_a_converter_that_fails_is_one_line_and_leaves_nothing(
    toy_pair: tuple[Backbone, keras.Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no such\n\noperation")

    monkeypatch.setattr(keras.Model, "export", fail)
    with raises_one_line(ValueError, "'litert'", f"Keras {keras.__version__}", "no such operation"):
        export_model(toy_pair, tmp_path / "toy.keras", classes=CLASSES, formats=("keras", "litert"))
    assert list(tmp_path.iterdir()) == []


# What is not exported


@keras.saving.register_keras_serializable("tlkit_tests")
class Own(keras.layers.Layer):
    def call(self, x):
        return x


def own_activation(x):
    return x


@keras.saving.register_keras_serializable("tlkit_tests")
def registered(x):
    return x


def ends_in(*layers: keras.layers.Layer) -> keras.Model:
    x = image = keras.Input((8, 8, 1))
    for layer in (keras.layers.Flatten(), keras.layers.Dense(3), *layers):
        x = layer(x)
    return keras.Model(image, x)


@pytest.mark.parametrize(
    ("make", "fragments"),
    [
        (lambda: ends_in(keras.layers.Lambda(lambda x: x, name="mine")), ("Lambda", "'mine'", "keras.ops")),
        (lambda: ends_in(Own(name="mine")), ("layers of Keras", "'mine' (Own)")),
        (lambda: ends_in(keras.Sequential([Own(name="mine")], name="inner")), ("layers of Keras", "'inner/mine'")),
        (lambda: ends_in(keras.layers.Dense(3, activation=lambda x: x)), ("another machine", "safe mode")),
        (lambda: ends_in(keras.layers.Dense(3, activation=own_activation)), ("another machine", "'own_activation'")),
        (lambda: ends_in(keras.layers.Dense(3, activation=registered)), ("tlkit_tests>registered",)),
        (lambda: ends_in(keras.layers.Activation("sigmoid")), ("logits or a softmax", "sigmoid")),
        (lambda: ends_in(keras.layers.Dense(4)), ("as many as the model's outputs", "(4,)", "got 3")),
        (toy_model, ("as many as the model's outputs", "(8, 8, 4)")),
        (lambda: keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)]), ("(h, w, c)", "(5,)")),
        (lambda: "resnet", ("Keras model or (backbone, head)", "got str")),
    ],
    ids=[
        "lambda",
        "own",
        "own inside",
        "lambda activation",
        "own activation",
        "registered",
        "sigmoid",
        "classes",
        "no head",
        "no image",
        "text",
    ],
)
def test_what_another_machine_could_not_use_is_refused(make, fragments: tuple[str, ...], tmp_path: Path) -> None:
    with raises_one_line(ValueError, *fragments):
        export_model(make(), tmp_path / "model.keras", classes=CLASSES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "fragments"),
    [
        ({"path": "toy.h5"}, ("must end in .keras", "toy.h5")),
        ({"path": "absent/toy.keras"}, ("existing folder",)),
        ({"path": "there.keras"}, ("overwrite=True", "there.keras")),
        ({"classes": "abc"}, ("names, one a class", "got abc")),
        ({"classes": ("a", "b", "\x1b[2J")}, ("printable",)),
        ({"classes": ("a", "b", "b")}, ("different",)),
        ({"formats": ()}, ("one or more",)),
        ({"formats": ("onyx",)}, ("Did you mean 'onnx'?",)),
    ],
)
def test_arguments_are_checked_first(
    toy_pair: tuple[Backbone, keras.Model], tmp_path: Path, changed: dict, fragments: tuple[str, ...]
) -> None:
    (tmp_path / "there.keras").write_text("an old file")
    options = {"path": "toy.keras", "classes": CLASSES, **changed}
    with raises_one_line(ValueError, *fragments):
        export_model(toy_pair, tmp_path / options.pop("path"), **options)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("there.keras", "an old file")]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_not_exported(tmp_path: Path, wrong: float) -> None:
    model = join(toy_model(), build_head(toy_backbone(), 3))
    model.weights[0].assign(np.full(model.weights[0].shape, wrong))
    with raises_one_line(ValueError, "finite weights", "'one_conv/kernel'", "predict NaN"):
        export_model(model, tmp_path / "toy.keras", classes=CLASSES)
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_is_replaced_on_request(toy_pair: tuple[Backbone, keras.Model], tmp_path: Path) -> None:
    path = tmp_path / "there.keras"
    path.write_text("an old file")
    export_model(toy_pair, path, classes=CLASSES, overwrite=True)
    assert load_exported(path).classes == CLASSES


# Files from elsewhere


def with_member(exported: Path, path: Path, text: str | bytes) -> None:
    """The exported file, with something else in place of what it says of itself."""
    with zipfile.ZipFile(exported) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, text if name == "tlkit.json" else old.read(name))


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("{", ("damaged",)),
        (b"\xff\xfe", ("damaged",)),
        ("[" * 100_000, ("damaged",)),
        ("[1]", ("version 1",)),
        ('{"version": 2, "classes": ["a", "b", "c"]}', ("version 1",)),
        ('{"version": 1}', ("list of class names",)),
        ('{"version": 1, "classes": ["a", "b", 3]}', ("names, one a class",)),
        ('{"version": 1, "classes": ["a", "b", "\\u001b[2J"]}', ("printable",)),
        ('{"version": 1, "classes": ["a", "b"]}', ("2 probabilities", "(3,)")),
        ("x" * (2**20 + 1), ("bytes or less",)),
    ],
)
def test_class_names_of_a_stranger_are_checked(
    exported: Path, tmp_path: Path, text: str | bytes, fragments: tuple[str, ...]
) -> None:
    with_member(exported, tmp_path / "strange.keras", text)
    with raises_one_line(ValueError, *fragments, "strange.keras"):
        load_exported(tmp_path / "strange.keras")


def write_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"classes": CLASSES}))


def write_other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("words.txt", "hello")


def write_without_classes(path: Path) -> None:
    ends_in().save(path)


def write_lambda(path: Path) -> None:
    ends_in(keras.layers.Lambda(lambda x: x)).save(path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("tlkit.json", json.dumps({"version": 1, "classes": CLASSES}))


def write_logits(path: Path) -> None:
    ends_in().save(path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("tlkit.json", json.dumps({"version": 1, "classes": CLASSES}))


def write_bomb(path: Path) -> None:
    write_logits(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("assets/zeros", b"0" * 10_000_000)


@pytest.mark.parametrize(
    ("write", "fragments"),
    [
        (write_pickle, ("is a zip", "which is none")),
        (write_other_zip, ("that Keras saved", "a zip of something else")),
        (write_without_classes, ("class names", "got none", "export_model(model, path, classes=...)")),
        (write_lambda, ("safe mode", "Lambda")),
        (write_logits, ("end in a softmax",)),
        (write_bomb, ("unpack",)),
    ],
)
def test_a_strangers_file_is_refused_in_one_line(write, fragments: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "strange.keras"
    write(path)
    with raises_one_line(ValueError, *fragments, "strange.keras"):
        load_exported(path)


def test_a_file_that_was_cut_short_or_altered_is_refused(exported: Path, tmp_path: Path) -> None:
    whole = exported.read_bytes()
    path = tmp_path / "cut.keras"
    for n in (0, 10, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:n])
        with raises_one_line(ValueError, "cut.keras"):
            load_exported(path)
    for start in range(0, len(whole), len(whole) // 12):
        path.write_bytes(whole[:start] + bytes(64) + whole[start + 64 :])
        with contextlib.suppress(ValueError):  # nothing else may come out; zeros may stand where nothing is read
            load_exported(path)


@pytest.mark.parametrize("name", ["absent.keras", "model.h5", "model.pkl", "."])
def test_another_kind_of_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "model.h5").write_text("hello")
    (tmp_path / "model.pkl").write_text("hello")
    with raises_one_line(ValueError, "existing .keras file"):
        load_exported(tmp_path / name)


# Pictures


def test_rows_are_in_the_order_of_the_files_and_of_the_probabilities(loaded: Exported, pictures: Path) -> None:
    files = find_pictures([pictures])
    assert [file.name for file in files] == [f"{i:02}.png" for i in range(40)]
    table = predict_images(loaded, files[::-1], top=2)
    assert list(table.columns) == ["file", "rank", "class", "probability", "problem"]
    assert table["file"].tolist() == [str(file) for file in files[::-1] for _ in range(2)]
    assert table["rank"].tolist() == [1, 2] * 40
    expected = np.sort(loaded.model.predict(random_split(40).x[::-1], verbose=0))[:, ::-1]
    np.testing.assert_allclose(table["probability"].to_numpy().reshape(40, 2), expected[:, :2], rtol=0, atol=1e-6)
    assert len(predict_images(loaded, files[:1], top=99)) == len(CLASSES)


def test_a_file_that_cannot_be_read_costs_itself_alone(loaded: Exported, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_text("hello")
    good = sorted(pictures.iterdir())[:2]
    files = [good[0], tmp_path / "bad.png", tmp_path / "absent.png", tmp_path, good[1]]
    table = predict_images(loaded, files)
    assert table["file"].tolist() == [str(file) for file in files]
    assert [problem == "" for problem in table["problem"]] == [True, False, False, False, True]
    assert table["class"].isna().tolist() == [False, True, True, True, False]
    alone = predict_images(loaded, good)
    np.testing.assert_allclose(table["probability"][[0, 4]], alone["probability"], rtol=0, atol=1e-6)


def test_pictures_in_memory_are_read_as_their_files_are(loaded: Exported, pictures: Path, tmp_path: Path) -> None:
    files, x = find_pictures([pictures]), random_split(40).x
    of_files = predict_images(loaded, files, top=2)
    for arrays in (x, list(x), [image[:, :, 0] for image in x]):
        of_arrays = predict_images(loaded, arrays, top=2)
        assert of_arrays["file"].tolist() == [str(i) for i in range(40) for _ in range(2)]
        pd.testing.assert_frame_equal(of_arrays.drop(columns="file"), of_files.drop(columns="file"))
    wide = random_split(1, shape=(20, 31, 3)).x[0]  # scaled, cropped and made grey, as a file is
    Image.fromarray(wide).save(tmp_path / "wide.png")
    mixed = predict_images(loaded, [tmp_path / "wide.png", wide])
    assert mixed["class"].nunique() == mixed["probability"].nunique() == 1


def test_what_is_no_picture_in_memory_is_refused(loaded: Exported) -> None:
    for wrong in (np.zeros((1, 8, 8, 1)), [np.zeros((8, 8, 2), np.uint8)], [np.zeros((0, 8, 1), np.uint8)]):
        with raises_one_line(ValueError, "a picture must be uint8", "got "):
            predict_images(loaded, wrong)
    with raises_one_line(ValueError, "shape (n, h, w, c)", "got (8, 8, 1)"):
        predict_images(loaded, np.zeros((8, 8, 1), np.uint8))
    with raises_one_line(ValueError, "paths must be a list", "'one.png'"):
        predict_images(loaded, "one.png")


@pytest.mark.parametrize("most", [100, 20_000])
def test_a_disk_that_gets_full_names_the_file_and_leaves_the_old_one(
    toy_pair: tuple[Backbone, keras.Model], tmp_path: Path, most: int
) -> None:
    path = tmp_path / "toy.keras"
    path.write_bytes(b"the old one")
    with no_file_above(most), raises_one_line(OSError, "could not be written", os.strerror(errno.EFBIG), str(path)):
        export_model(toy_pair, path, classes=CLASSES, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["toy.keras"]
    assert path.read_bytes() == b"the old one"


@pytest.mark.parametrize("top", [0, -1, 1.5, True, np.float32(1)])
def test_top_out_of_range(loaded: Exported, top: object) -> None:
    with raises_one_line(ValueError, "top must be", f"got {top!r}"):
        predict_images(loaded, [], top=top)  # type: ignore[arg-type]


def test_pictures_are_found_in_folders_and_patterns(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "note.txt", ".hidden.png", "sub/c.png", ".git/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def names(*sources: Path) -> list[str]:
        return [path.relative_to(tmp_path).as_posix() for path in find_pictures(sources)]

    assert names(tmp_path) == ["a.jpg", "b.PNG", "sub/c.png"]
    assert names(tmp_path / "*.jpg", tmp_path / "a.jpg") == ["a.jpg"]
    assert names(tmp_path / "**" / "c.png") == ["sub/c.png"]
    assert names(tmp_path / "note.txt") == ["note.txt"]  # who names a file means it
    with raises_one_line(ValueError, "absent.png", "no such file"):
        names(tmp_path / "absent.png")
    (tmp_path / "empty").mkdir()
    with raises_one_line(ValueError, "a picture", "empty"):
        names(tmp_path / "empty")


# The command


@pytest.fixture
def predict(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tlkit", "predict", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return int(stop.value.code or 0), *capsys.readouterr()

    return run


def test_the_table_names_what_was_read_and_what_was_not(
    predict, exported: Path, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad[red]\x1b[2J.png").write_text("hello")
    shutil.copyfile(pictures / "00.png", tmp_path / "good.png")
    code, out, err = predict(exported, tmp_path, "--top", "3")
    assert code == 0
    assert "good.png" in out.replace("\n", "")
    assert sum(name in out for name in CLASSES) == 3  # brackets are no markup
    lines = err.strip().splitlines()
    assert "bad[red]?[2J.png" in lines[-2]
    assert "PNG" in lines[-1]


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_a_model_that_gives_nan_says_so(
    predict, exported: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = load_exported(exported)
    broken.model.weights[0].assign(np.full(broken.model.weights[0].shape, np.nan))
    some = sorted(pictures.iterdir())[:3]
    table = predict_images(broken, some, top=2)
    assert table["file"].tolist() == [str(path) for path in some]
    assert table["class"].isna().all()
    assert set(table["problem"]) == {"the model gives NaN for it"}
    monkeypatch.setattr("tlkit.export.load_exported", lambda _: broken)
    code, out, err = predict(exported, *some, "--json")
    answer = json.loads(out, parse_constant=refuse_constant)
    assert (code, answer["rows"], len(answer["unreadable"])) == (1, [], 3)
    assert err.strip() == "my toy gives NaN for 3 of 3 pictures."


def test_nothing_read_is_exit_code_1_and_a_wrong_argument_2(predict, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_text("hello")
    code, out, err = predict(exported, tmp_path)
    assert (code, out) == (1, "")
    assert "bad.png" in err
    code, out, _ = predict(exported, tmp_path / "bad.png", "--json")
    assert code == 1
    assert [problem["file"] for problem in json.loads(out)["unreadable"]] == [str(tmp_path / "bad.png")]
    for arguments in (
        (tmp_path / "absent.keras", tmp_path),
        (exported, tmp_path / "absent"),
        (exported, ".", "--top", "0"),
    ):
        code, out, err = predict(*arguments)
        assert (code, out) == (2, "")
        assert len(err.strip().splitlines()) == 1
