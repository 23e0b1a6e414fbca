# %% [markdown]
# # ps8 · The whole program
#
# **Question: can you write the whole program on an empty page: from a folder of photographs to a model that is saved,
# loaded and used?**
#
# Takes 60 to 90 minutes, without a network. Work through notebook 00 first; 04 and 05 say more about freezing and
# fine-tuning. Then close them, and write.
#
# **How it works.** You write two functions, `train` and `predict`: 85 points, given by tests. There is no frame to fill
# in. Add cells and functions of your own where you like. The first test runs your program on a small folder of coloured
# pictures: run it as often as you like. After you have handed in, more tests run, on folders that you have not seen.
# They look only at what your program writes and answers; each cell says at what. Use Keras, NumPy, scikit-learn, tlkit,
# what you like. Part 3 is text: 15 points, given by a person, by the rubric that stands there.

# %% readonly="setup"
import tlkit

tlkit.quiet_start()  # or TensorFlow's start-up lines would stand here in red

import json
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

limits = threadpool_limits(1)  # on arrays this small, several threads of scikit-learn wait for each other
NETWORK = tlkit.asset_path("efficientnet_lite0.keras")  # trained on ImageNet; takes pixels from 0 to 255
BESIDE = Path(tlkit.__file__).parent  # of a checkout, or of what pip has installed
PICTURES = next(folder for folder in (BESIDE.parent / "notebooks", BESIDE / "course" / "notebooks") if folder.is_dir())
PHOTOS, DRAWINGS = PICTURES / "photos", PICTURES / "drawings"  # a folder per class

# %% [markdown]
# ## 1. Train (72 points)
#
# `train(folder, out)` gets a folder that holds one subfolder per class, with eight or more pictures in each (`.jpg` or
# `.png`, of any size; grey ones, too). Other files in `folder` are no pictures. It writes three files into the folder `out`:
#
# | file | what it holds |
# |---|---|
# | `frozen.keras` | the model after the first phase: the pretrained base up to `avg_pool`, exactly as it was, and a head that has learned |
# | `model.keras` | the same model after fine-tuning: kernels of the base have learned on, and its BatchNorm statistics are as they were |
# | `report.json` | a dictionary, described below |
#
# Both models take a batch of pictures `(n, side, side, 3)`, raw pixels from 0 to 255, and return one score per class
# (logits or probabilities), `(n, number of classes)`. You choose `side`, from 64 to 160; `model.input_shape` must say it.
# A picture is read as `keras.utils.load_img(path, target_size=(side, side), interpolation="bilinear")` reads it. The
# tests load both files with `safe_mode=True`, and without your code: they must hold layers of Keras only.
#
# | in `report.json` | what it says |
# |---|---|
# | `"classes"` | the names of the subfolders, in the order of the scores |
# | `"training"`, `"validation"`, `"test"` | the pictures in each part, as `"class/file"`. Each picture of the folder is in exactly one part, and each part has pictures of every class. At least half of each class is for training, and at least a fifth for the test. |
# | `"accuracy"` | a dictionary: the accuracies (0..1) of `"pixels"`, `"frozen"` and `"fine_tuned"`, each on the test part |
#
# `"pixels"` is the baseline: any classifier that sees the pixels of the training part and no pretrained network. Nothing
# may learn from a picture of the test part. The validation part is for your choices, or stays unused.
#
# A call may take 100 seconds for 100 pictures on two cores. There are few pictures, so a small `side` is enough. And what
# a frozen base says of a picture stays the same in all epochs.


# %% solution="train"
def train(folder, out):
    """Learn the classes of a folder of pictures in two phases, and write frozen.keras, model.keras and report.json.

    folder is a Path: one subfolder per class. out is the Path of an empty folder. What the function returns is not used.
    """
    ### BEGIN SOLUTION
    side, rng = 96, np.random.default_rng(0)
    read = {"target_size": (side, side), "interpolation": "bilinear"}
    keras.utils.set_random_seed(0)
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    parts = {"training": [], "validation": [], "test": []}
    for name in classes:
        files = [f"{name}/{p.name}" for p in sorted((folder / name).iterdir()) if p.suffix in (".jpg", ".png")]
        rng.shuffle(files)
        n_test, n_validation = max(1, round(0.25 * len(files))), max(1, len(files) // 8)
        parts["test"] += files[:n_test]
        parts["validation"] += files[n_test : n_test + n_validation]
        parts["training"] += files[n_test + n_validation :]
    pixels, labels = {}, {}
    for part, files in parts.items():
        pictures = [keras.utils.load_img(folder / file, **read) for file in files]
        pixels[part] = np.stack([keras.utils.img_to_array(picture) for picture in pictures])
        labels[part] = np.array([classes.index(file.split("/")[0]) for file in files])

    def fit(model, x, rate, epochs):
        model.compile(
            optimizer=keras.optimizers.Adam(rate),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        model.fit(x, labels["training"], epochs=epochs, batch_size=16, verbose=0)

    def on_test(model, x):
        return float(np.mean(model.predict(x, verbose=0).argmax(axis=1) == labels["test"]))

    shrink = keras.Sequential([keras.layers.Resizing(24, 24), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()])
    shrunk = {part: np.asarray(shrink(x)) for part, x in pixels.items()}
    baseline = keras.Sequential([keras.Input(shrunk["test"].shape[1:]), keras.layers.Dense(len(classes))])
    fit(baseline, shrunk["training"], 1e-3, 30)
    accuracy = {"pixels": on_test(baseline, shrunk["test"])}

    # The frozen base is computed once; only the head learns.
    network = keras.models.load_model(NETWORK, compile=False)
    base = keras.Model(network.input, network.get_layer("avg_pool").output, name="base")
    base.trainable = False
    features = {part: base.predict(x, batch_size=16, verbose=0) for part, x in pixels.items()}
    head = keras.Sequential([keras.Input((1280,)), keras.layers.Dense(len(classes))], name="head")
    fit(head, features["training"], 3e-3, 20)
    accuracy["frozen"] = on_test(head, features["test"])
    image = keras.Input((side, side, 3))
    model = keras.Model(image, head(base(image)))
    model.save(out / "frozen.keras")

    base.trainable = True
    for layer in base.layers:
        layer.trainable = layer.name.startswith(("block7", "top")) and not layer.name.endswith("bn")
    fit(model, pixels["training"], 3e-5, 2)
    accuracy["fine_tuned"] = on_test(model, pixels["test"])
    model.save(out / "model.keras")
    report = {"classes": classes, **parts, "accuracy": accuracy}
    (out / "report.json").write_text(json.dumps(report), encoding="utf-8")
    ### END SOLUTION


# %% [markdown]
# ## 2. Predict (13 points with the first test)
#
# `predict(out, files)` is the other half: it may run next year, in another process, on another machine. All that it knows
# is what stands in the folder `out`, which may have been moved since.


# %% solution="predict"
def predict(out, files):
    """The names of the classes that model.keras in the folder out sees: a list of one string per file, in their order.

    out is a Path of a folder that train has filled, and files is a list of Paths of pictures, one or more.
    """
    ### BEGIN SOLUTION
    model = keras.models.load_model(out / "model.keras", compile=False)
    classes = json.loads((out / "report.json").read_text(encoding="utf-8"))["classes"]
    read = {"target_size": model.input_shape[1:3], "interpolation": "bilinear"}
    x = np.stack([keras.utils.img_to_array(keras.utils.load_img(file, **read)) for file in files])
    return [classes[best] for best in model.predict(x, verbose=0).argmax(axis=1)]
    ### END SOLUTION


# %% test="writes_what_is_asked" points=6
import json
import re
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from tlkit.grading import call_student


def must(hold, rule):
    if not hold:
        raise AssertionError(
            f"{rule}. Reread part 1 of this notebook: its tables say what each file holds, and how a picture is read."
        )


# Three classes that differ in colour, twelve pictures each, of several sizes; some are png. The text file is no picture.
home = Path(tempfile.mkdtemp())
rng = np.random.default_rng(0)
for name, colour in {"sea": (40, 90, 200), "fire": (220, 90, 30), "dark wood": (90, 60, 40)}.items():
    (home / "colours" / name).mkdir(parents=True)
    for number in range(12):
        painted = rng.normal(colour, 25, size=(80 + number, 100, 3)).clip(0, 255).astype("uint8")
        Image.fromarray(painted).save(home / "colours" / name / f"{number:02}.{'png' if number % 4 == 0 else 'jpg'}")
(home / "colours" / "README.txt").write_text("Painted for a test.", encoding="utf-8")
(home / "out").mkdir()
call_student(train, (home / "colours", home / "out"), kind=object, seconds=100, reread="part 1 of this notebook")
written = {path.name for path in (home / "out").iterdir()}
for name in ("frozen.keras", "model.keras", "report.json"):
    must(name in written, f"train must write {name}, got {', '.join(sorted(written)) or 'nothing'}")
report = json.loads((home / "out" / "report.json").read_text(encoding="utf-8"))
for name in ("classes", "training", "validation", "test"):
    must(isinstance(report.get(name), list), f"report.json must hold a list {name!r}, got {', '.join(report)}")
for name in ("pixels", "frozen", "fine_tuned"):
    score = report.get("accuracy", {}).get(name, -1)
    must(isinstance(score, int | float) and 0 <= score <= 1, f"report.json must hold an accuracy 0..1 of {name!r}")
for name in ("frozen.keras", "model.keras"):
    with zipfile.ZipFile(home / "out" / name) as archive:
        modules = re.findall(
            r'"module": ([^,]+), "class_name"', json.dumps(json.loads(archive.read("config.json"))["config"])
        )
    foreign = [module for module in modules if not module.startswith('"keras')]
    must(not foreign, f"{name} must hold layers of Keras only, got one that needs code of yours")
    try:
        shape = keras.models.load_model(home / "out" / name, compile=False, safe_mode=True).input_shape
    except Exception as error:
        must(False, f"{name} must load with safe_mode=True, got {type(error).__name__}")
    fine = len(shape) == 4 and shape[1] == shape[2] and shape[1] in range(64, 161) and shape[3] == 3
    must(fine, f"{name} must take pictures of 64 to 160 pixels a side, (n, side, side, 3), got {shape}")
some = [home / "colours" / "fire" / "01.jpg", home / "colours" / "sea" / "04.png"]
names = call_student(predict, (home / "out", some), kind=list, seconds=60, reread="part 2 of this notebook")
must(len(names) == 2, f"predict must return one name per file, got {len(names)} for 2 files")

# %% test="parts_are_apart" points=8
# Hidden: photographs of several classes. Each picture of the folder is in exactly one part, and nothing else is; each
# part has pictures of every class, half of them or more are for training, and a fifth or more for the test.
### BEGIN HIDDEN TESTS
import json
import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageOps
from sklearn.linear_model import LogisticRegression

import tlkit
from tlkit.grading import call_student

_SEEN = {"bird": "q 7", "flower": "Ab", "fruit": "10", "vehicle": "9"}  # what the folders are called
_ANY = ("x1", "x2", "x3", "x4")  # mammals, dealt out at random: whoever has not seen a picture cannot know
_READ = "part 1 of this notebook"
_beside = Path(tlkit.__file__).parent
_photos = next(
    _folder
    for _folder in (_beside.parent / "notebooks" / "photos", _beside / "course" / "notebooks" / "photos")
    if _folder.is_dir()
)
_memo = {}


def _once(function):
    """The function's result, or its AssertionError, made once for all tests below."""

    def remembered():
        if function.__name__ not in _memo:
            try:
                _memo[function.__name__] = function()
            except AssertionError as error:
                _memo[function.__name__] = str(error)
        if isinstance(_memo[function.__name__], str):
            raise AssertionError(_memo[function.__name__])
        return _memo[function.__name__]

    return remembered


def _copy(path, to):
    """The photograph, mirrored and cut a little, as a png or jpg: no copy of a file that a student has."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(path) as picture:
        ImageOps.mirror(picture).crop((3, 2, picture.width - 2, picture.height)).save(to)


def _dealt():
    """The pictures for the folder, and those that train never sees: lists of (file, name of the class)."""
    rng = np.random.default_rng(8104)
    shown, kept = [], []
    for kind, name in _SEEN.items():
        files = rng.permutation(sorted((_photos / kind).glob("*.jpg")))
        n = min(14, len(files) - 5)
        shown += [(path, name) for path in files[:n]]
        kept += [(path, name) for path in files[n : n + 12]]
    mammals = rng.permutation(sorted((_photos / "mammal").glob("*.jpg")))[:60]
    return shown + list(zip(mammals, np.repeat(_ANY, 15).tolist(), strict=True)), kept


def _what_it_wrote(folder, out):
    """The report and both models of a run, as they come from their files."""
    try:
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        models = {
            name: keras.models.load_model(out / f"{name}.keras", compile=False, safe_mode=True)
            for name in ("frozen", "model")
        }
        report = {part: list(report[part]) for part in ("classes", "training", "validation", "test")} | {
            "accuracy": {name: float(report["accuracy"][name]) for name in ("pixels", "frozen", "fine_tuned")}
        }
    except Exception as error:
        raise AssertionError(
            f"train must write what part 1 asks for, but reading it ended in {type(error).__name__}. Reread {_READ}."
        ) from None
    return folder, out, report, models


@_once
def _on_photographs():
    home = Path(tempfile.mkdtemp())
    for number, (path, name) in enumerate(_dealt()[0]):
        _copy(path, home / "in" / name / f"p{number * 37 % 101:03}.{'png' if number % 3 else 'jpg'}")
    (home / "in" / "LICENSE.txt").write_text("No picture.", encoding="utf-8")
    (home / "out").mkdir()
    call_student(train, (home / "in", home / "out"), kind=object, seconds=100, reread=_READ)
    return _what_it_wrote(home / "in", home / "out")


@_once
def _on_colours():
    if not (home / "out" / "report.json").is_file():
        raise AssertionError(f"train must write report.json for the folder of colours, too. Reread {_READ}.")
    return _what_it_wrote(home / "colours", home / "out")


def _pixels(paths, side):
    options = {"target_size": (side, side), "interpolation": "bilinear"}
    return np.stack([keras.utils.img_to_array(keras.utils.load_img(path, **options)) for path in paths])


def _scores(model, paths):
    x = _pixels(paths, model.input_shape[1] or 96)
    scores = np.concatenate([np.asarray(model(x[i : i + 16], training=False)) for i in range(0, len(x), 16)])
    if scores.ndim != 2 or not np.isfinite(scores).all():
        raise AssertionError(f"a model must return finite scores (n, classes), got {scores.shape}. Reread {_READ}.")
    return scores


@_once
def _scores_of_parts():
    """The scores of both models for the training part and the test part."""
    folder, _, report, models = _on_photographs()
    try:
        paths = {part: [folder / file for file in report[part]] for part in ("training", "test")}
        return {(name, part): _scores(models[name], paths[part]) for name in models for part in paths}
    except OSError:
        raise AssertionError(f'report.json must name pictures as "class/file". Reread {_READ}.') from None


@_once
def _unseen():
    """The paths of photographs that train never saw, and their classes' names."""
    kept = _dealt()[1]
    paths = [Path(tempfile.mkdtemp()) / f"{number * 31 % 97:02}.png" for number in range(len(kept))]
    for (path, _), to in zip(kept, paths, strict=True):
        _copy(path, to)
    return paths, [name for _, name in kept]


@_once
def _scores_of_unseen():
    return {name: _scores(model, _unseen()[0]) for name, model in _on_photographs()[3].items()}


def _named(scores, classes):
    """The names that the scores stand for, "" for an answer that has none."""
    return [classes[best] if best < len(classes) else "" for best in scores.argmax(axis=1).tolist()]


def _share(said, true):
    return sum(one == other for one, other in zip(said, true, strict=True)) / len(true)


_folder, _, _report, _ = _on_photographs()
_there = sorted(f"{_path.parent.name}/{_path.name}" for _path in _folder.glob("*/*"))
_said = [_file for _part in ("training", "validation", "test") for _file in _report[_part]]
if len(set(_said)) < len(_said):
    raise AssertionError(f"no picture may be in two parts, but {len(_said) - len(set(_said))} are. Reread {_READ}.")
if sorted(_said) != _there:
    raise AssertionError(
        f"the three parts must hold all {len(_there)} pictures of the folder and nothing else, got {len(_said)} names, "
        f"{len(set(_said) & set(_there))} of them of pictures. Reread {_READ}."
    )
for _name in (*_SEEN.values(), *_ANY):
    _of = {
        _part: sum(_file.startswith(f"{_name}/") for _file in _report[_part])
        for _part in _report
        if _part in ("training", "validation", "test")
    }
    _n = sum(_of.values())
    if not (_of["training"] >= 0.5 * _n - 0.5 and _of["test"] >= 0.2 * _n - 0.5 and _of["validation"]):
        raise AssertionError(
            f"of each class half or more must be for training, a fifth or more for the test, and some for validation, "
            f"got {_of} of one. Reread {_READ}."
        )
### END HIDDEN TESTS

# %% test="one_score_per_class" points=5
# Hidden: photographs of eight classes and the three colours. Both models return one finite score per class, and "classes"
# in the report holds each subfolder's name once.
### BEGIN HIDDEN TESTS
for _folder, _, _report, _models in (_on_photographs(), _on_colours()):
    _names = sorted(_path.name for _path in _folder.iterdir() if _path.is_dir())
    if sorted(map(str, _report["classes"])) != _names:
        raise AssertionError(
            f'"classes" must hold the names of the {len(_names)} subfolders once each, got {len(_report["classes"])} names. '
            f"Reread {_READ}."
        )
    for _name, _model in _models.items():
        _shape = _scores(_model, sorted(_folder.glob("*/*"))[:2]).shape
        if _shape != (2, len(_names)):
            raise AssertionError(
                f"{_name}.keras must return scores of shape (2, {len(_names)}) for 2 pictures of {len(_names)} classes, got "
                f"{_shape}. Reread {_READ}."
            )
### END HIDDEN TESTS

# %% test="names_in_order" points=7
# Hidden: photographs. Raw pixels go into the model, and the best score is looked up in "classes". Of the training part, of
# each class that can be told apart, most pictures come out under their own name.
### BEGIN HIDDEN TESTS
_, _, _report, _ = _on_photographs()
for _name in ("frozen", "model"):
    _said = _named(_scores_of_parts()[_name, "training"], _report["classes"])
    for _class in _SEEN.values():
        _own = [_one for _one, _file in zip(_said, _report["training"], strict=True) if _file.startswith(f"{_class}/")]
        if not (_own and _own.count(_class) > len(_own) / 2):
            raise AssertionError(
                f"{_name}.keras must name most training pictures of a class as their folder does when it is given raw pixels, "
                f"but it names {_own.count(_class)} of {len(_own)} so: are the classes in the order of the scores, and the "
                "preprocessing inside the model? Reread notebook 00, sections 4 and 7."
            )
### END HIDDEN TESTS


# %% test="frozen_phase_keeps_the_base" points=9
# Hidden: each weight of the pretrained network up to `avg_pool`, BatchNorm's statistics included, stands bit by bit in
# frozen.keras.
### BEGIN HIDDEN TESTS
@_once
def _pretrained():
    network = keras.models.load_model(tlkit.asset_path("efficientnet_lite0.keras"), compile=False)
    return [(w.path, w.numpy().tobytes()) for layer in network.layers[:-1] for w in layer.weights]


_present = {_weight.numpy().tobytes() for _weight in _on_photographs()[3]["frozen"].weights}
_gone = [_path for _path, _bytes in _pretrained() if _bytes not in _present]
if _gone:
    raise AssertionError(
        f"the base in frozen.keras must be the pretrained one, but {len(_gone)} of its {len(_pretrained())} weights are gone or "
        f"have moved, such as {_gone[0]}. Reread notebook 00, section 4, and notebook 04, section 3."
    )
### END HIDDEN TESTS

# %% test="fine_tuning_learns" points=7
# Hidden: kernels of the base in model.keras are others than before, and the mean loss on the training part is lower than
# that of frozen.keras, if that is better than a guess.
### BEGIN HIDDEN TESTS
_reread = "notebook 00, section 6, and notebook 04, section 2"
_present = {_weight.numpy().tobytes() for _weight in _on_photographs()[3]["model"].weights}
_moved = [_path for _path, _bytes in _pretrained() if _path.endswith("kernel") and _bytes not in _present]
if not _moved:
    raise AssertionError(
        "kernels of the base must learn in the second phase, but in model.keras all are as they were: was the model compiled "
        f"after its flags changed, and saved after it had learned? Reread {_reread}."
    )


def _loss(scores, files, classes):
    """The mean cross-entropy, in nats, of logits or of probabilities."""
    y = [classes.index(file.split("/")[0]) for file in files]
    if (scores < 0).any() or not np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        scores = np.asarray(keras.ops.softmax(scores))
    return float(-np.log(np.maximum(scores[np.arange(len(y)), y], 1e-12)).mean())


_report = _on_photographs()[2]
_losses = [
    _loss(_scores_of_parts()[_n, "training"], _report["training"], _report["classes"]) for _n in ("frozen", "model")
]
# Where the frozen model is no better than a guess, names_in_order has said so, and a lower loss would mean nothing.
if _losses[0] < np.log(len(_report["classes"])) and not _losses[1] < _losses[0]:
    raise AssertionError(
        f"the loss on the training part must fall in the second phase, but went from {_losses[0]:.3f} to {_losses[1]:.3f}. "
        "Reread notebook 00, section 6, and notebook 05, section 2."
    )
### END HIDDEN TESTS

# %% test="fine_tuning_keeps_batchnorm" points=5
# Hidden: BatchNorm's moving means and variances stand in model.keras as they were pretrained.
### BEGIN HIDDEN TESTS
_present = {_weight.numpy().tobytes() for _weight in _on_photographs()[3]["model"].weights}
_gone = [_path for _path, _bytes in _pretrained() if "moving_" in _path and _bytes not in _present]
if _gone:
    raise AssertionError(
        f"BatchNorm's statistics must stay as they were in the second phase, too, but {len(_gone)} moved, such as {_gone[0]}. "
        "Reread notebook 00, section 6, and notebook 04, section 3."
    )
### END HIDDEN TESTS


# %% test="beats_the_pixels" points=12
# Hidden: photographs that were never in the folder. Both models make at most 0.75 of the errors that a logistic regression
# on the pixels of the same training part makes.
### BEGIN HIDDEN TESTS
def _small(paths):
    return _pixels(paths, 24).reshape(len(paths), -1) / 255


@_once
def _pixel_probe():
    folder, _, report, _ = _on_photographs()
    paths = [folder / file for file in report["training"]]
    probe = LogisticRegression(C=0.01, max_iter=300)
    return probe.fit(_small(paths), [path.parent.name for path in paths])


_paths, _true = _unseen()
_of_pixels = 1 - _share(_pixel_probe().predict(_small(_paths)).tolist(), _true)
for _name in ("frozen", "model"):
    _errors = 1 - _share(_named(_scores_of_unseen()[_name], _on_photographs()[2]["classes"]), _true)
    if not _errors <= 0.75 * _of_pixels:
        raise AssertionError(
            f"{_name}.keras must make at most 0.75 of the errors that pixels make, but of the photographs that it has never seen "
            f"it gets {_errors:.2f} wrong, and pixels {_of_pixels:.2f}. Reread notebook 00, sections 4 and 6."
        )
### END HIDDEN TESTS

# %% test="no_test_picture_is_learned" points=9
# Hidden: four of the classes were dealt at random, so that only somebody who has learned a picture knows its class. Of
# those in the test part the models get no more right than chance allows.
### BEGIN HIDDEN TESTS
_report = _on_photographs()[2]
_at = [_i for _i, _file in enumerate(_report["test"]) if _file.split("/")[0] in _ANY]
_true = [_report["test"][_i].split("/")[0] for _i in _at]
for _name in ("frozen", "model"):
    _right = _share(_named(_scores_of_parts()[_name, "test"][_at], _report["classes"]), _true)
    if not _right <= 0.25 + 3 * (0.25 * 0.75 / len(_at)) ** 0.5:
        raise AssertionError(
            f"no picture of the test part may be learned, but {_name}.keras is right about {_right:.2f} of {len(_at)} test "
            "pictures whose classes were dealt at random. Reread notebook 00, section 2."
        )
### END HIDDEN TESTS

# %% test="scores_are_true" points=6
# Hidden: the accuracies of both models are computed again, from the files and the names of the test part.
### BEGIN HIDDEN TESTS
_report = _on_photographs()[2]
_true = [_file.split("/")[0] for _file in _report["test"]]
for _name, _key in (("frozen", "frozen"), ("model", "fine_tuned")):
    _again = _share(_named(_scores_of_parts()[_name, "test"], _report["classes"]), _true)
    if not abs(_again - _report["accuracy"][_key]) <= 1.5 / len(_true):
        raise AssertionError(
            f"the accuracy of {_key!r} must be that of {_name}.keras on the test part, {_again:.3f}, got "
            f"{_report['accuracy'][_key]:.3f}. Reread notebook 00, section 2."
        )
### END HIDDEN TESTS

# %% test="baseline_is_fair" points=4
# Hidden: where colours tell the classes apart, "pixels" is nearly 1; on the photographs it is about what other classifiers
# get from the same pixels, and no more.
### BEGIN HIDDEN TESTS
_folder, _, _report, _ = _on_photographs()
_said = _on_colours()[2]["accuracy"]["pixels"]
if not _said >= 0.8:
    raise AssertionError(
        f"the baseline must learn from pixels: of classes that differ in colour it gets {_said:.2f} right. Reread notebook 00, "
        "section 3."
    )
_paths, _said = [_folder / _file for _file in _report["test"]], _report["accuracy"]["pixels"]
_ours = _share(_pixel_probe().predict(_small(_paths)).tolist(), [_path.parent.name for _path in _paths])
if not _said <= _ours + 0.25:
    raise AssertionError(
        f"the baseline must be scored on the test part, and see pixels only: it is said to get {_said:.2f} right, where a "
        f"logistic regression gets {_ours:.2f}. Reread notebook 00, section 3."
    )
### END HIDDEN TESTS

# %% test="predict_needs_only_the_files" points=7
# Hidden: the folder `out` of the colours, and that of the photographs, moved to another path. The names are those that
# model.keras gives for raw pixels, in the order of the files; one file is answered, too.
### BEGIN HIDDEN TESTS
_read_2 = "part 2 of this notebook, and notebook 00, section 7"
_moved = Path(tempfile.mkdtemp()) / "elsewhere"
_of_photographs = _named(_scores_of_unseen()["model"], _on_photographs()[2]["classes"])
_painted = sorted(_on_colours()[0].glob("*/*"))[::5]
_of_colours = _named(_scores(_on_colours()[3]["model"], _painted), _on_colours()[2]["classes"])
shutil.move(_on_photographs()[1], _moved)
for _out, _paths, _told in (
    (_on_colours()[1], _painted, _of_colours),
    (_moved, _unseen()[0], _of_photographs),
    (_moved, _unseen()[0][3:4], _of_photographs[3:4]),
):
    _got = call_student(predict, (_out, _paths), kind=list, seconds=60, reread=_read_2)
    if len(_got) != len(_paths):
        raise AssertionError(
            f"predict must return one name per file, got {len(_got)} for {len(_paths)}. Reread {_read_2}."
        )
    _same = _share([str(_one) for _one in _got], _told)
    if not _same >= 0.9:
        raise AssertionError(
            "predict must return the names that model.keras gives for raw pixels, in the order of the files, and does so for "
            f"{_same:.2f} of {len(_paths)} pictures. Reread {_read_2}."
        )
### END HIDDEN TESTS

# %% [markdown]
# Now your program on the course's photographs, and on its drawings of the same classes: you need both for part 3. (No
# points. It may take a minute.) **Predict before you run**: which of the three scores will be the highest, and by how much?

# %%
import tempfile

mine = Path(tempfile.mkdtemp())
train(PHOTOS, mine)
report = json.loads((mine / "report.json").read_text(encoding="utf-8"))
report["accuracy"]


# %%
def by_class(files):
    right = [said == file.parent.name for said, file in zip(predict(mine, files), files, strict=True)]
    return pd.Series(right, [file.parent.name for file in files]).groupby(level=0).agg(["mean", "size"])


tested = by_class([PHOTOS / file for file in report["test"]])
tested.join(by_class(sorted(DRAWINGS.glob("*/*.jpg"))), rsuffix=" of drawings").round(2)

# %% [markdown] readonly="rubric"
# ## 3. What it says (15 points, graded by a person)
#
# Two answers, each of four to eight sentences; cells with code, tables and pictures may stand between them. A low score
# costs no points: what counts is whether your sentences follow from what you measured.
#
# | | nothing | half | full |
# |---|---|---|---|
# | **a. The scores** (8) | the numbers only | compares the three scores, with the prediction made before | also says how many test pictures the differences are, what that allows to be claimed about fine-tuning and what not, and what one would have to repeat |
# | **b. The drawings** (7) | one accuracy | photographs and drawings by class | also why the overall accuracies may not be compared, a pattern with its count, a cause that could be tested, and how |

# %% [markdown]
# **a. The scores.** What did you predict, and what came out? How many pictures of the test part lie between baseline,
# frozen base and fine-tuning? Which of these differences would you believe, and what would convince you of the others?

# %% [markdown] written="scores_read" points=8
# ### BEGIN SOLUTION
# The prediction, and the three accuracies on about 60 test pictures. Between pixels and the frozen base lie many pictures;
# between the frozen base and fine-tuning a few, or none. One split and one start of the head do not tell that from chance:
# the same question in ten splits or more, paired by split, with an interval, would. Rate and epochs of the second phase
# were set beforehand and not chosen by the test part, else the score would be too high.
# ### END SOLUTION

# %% [markdown]
# **b. The drawings.** What does the model make of the drawings? Compare class by class. Which classes suffer most, and
# what could be the cause? How would you test it?

# %% [markdown] written="drawings_examined" points=7
# ### BEGIN SOLUTION
# A table by class: most classes lose, some much. The mix of classes is another one (many vehicles among the drawings, many
# mammals among the photographs), so only accuracies by class, or their mean, can be compared. Some classes have two or six
# drawings: there one picture is a sixth or a half. A possible cause: outlines and flat colours in place of texture. A test
# of it: photographs whose texture is smoothed away, scored again; if it is the cause, they lose as drawings do.
# ### END SOLUTION
