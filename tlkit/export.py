"""Export: a trained model as one file that predicts on raw pictures or texts, and the way back.

The file is Keras' own ``.keras``, from raw pixels in 0..255 to probabilities, with one member more: ``tlkit.json``
holds the names of the classes. Keras passes over that member, so who has no tlkit loads the file all the same, and
finds the names by ``json.loads(zipfile.ZipFile("model.keras").read("tlkit.json"))["classes"]``. A model of texts takes
token ids instead, and is made of tlkit's layers: it needs ``tlkit[text]`` where it is read. A file from elsewhere is a
stranger's: nothing in it is run but the layers of Keras and of tlkit.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import importlib
import importlib.util
import json
import os
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

# A saved model may be made of the layers of these two, which Keras finds once they are registered.
import tlkit.efficient
import tlkit.text.encoder  # noqa: F401
from tlkit._keras import keras, tf
from tlkit._keras.graph import not_finite
from tlkit._keras.start import start_up_lines_dropped
from tlkit.audit.graph import has_graph, last_operations, placed_layers
from tlkit.backbones import Backbone
from tlkit.backbones.graph import name_in_graphs
from tlkit.domains import Array, Split, check_count, check_list
from tlkit.features import cache_features
from tlkit.files.paths import check_path
from tlkit.folders import PictureError, read_picture
from tlkit.folders.pictures import fit_array, is_picture_name
from tlkit.heads import join
from tlkit.text.tokens import MAX_LENGTH, tokenize
from tlkit.words import nearest_name, one_line, reason

__all__ = [
    "Exported",
    "export_model",
    "find_pictures",
    "load_exported",
    "load_safely",
    "predict_images",
    "predict_texts",
]

_MEMBER = "tlkit.json"
_VERSION = 1
_MEMBER_BYTES = 2**20  # more class names than that are no class names
_UNPACKED = 20  # Keras stores without compression: a file that unpacks to many times its size is not Keras'
_SUFFIX_OF = {"keras": ".keras", "onnx": ".onnx", "litert": ".tflite"}
_KNOWN_PACKAGES = ("keras", "keras_hub")  # whose layers another machine has, too
_BATCH = 32
NO_NUMBER = "the model gives NaN for it"


@dataclass(frozen=True, eq=False)
class Exported:
    """A model that was read from a file, and what it takes and gives.

    Args:
        model: From raw pixels ``(n, h, w, c)`` in 0..255, or token ids ``(n, length)``, to probabilities
            ``(n, classes)``.
        classes: The name of each probability.
        input_shape: ``(h, w, c)`` of one picture; ``c`` is 1 or 3. Of one text ``(length,)``, ``None`` being any.
        name: What the model was called when it was exported.
    """

    model: keras.Model
    classes: tuple[str, ...]
    input_shape: tuple[int | None, ...]
    name: str

    @property
    def is_text(self) -> bool:
        """Whether the model takes texts."""
        return len(self.input_shape) == 1


def export_model(
    model: keras.Model | tuple[Backbone, keras.Model],
    path: str | Path,
    *,
    classes: Sequence[str],
    name: str | None = None,
    overwrite: bool = False,
    formats: Sequence[str] = ("keras",),
) -> tuple[Path, ...]:
    """Write a model to one ``.keras`` file: preprocessing, probabilities and class names inside.

    A model of images then needs no tlkit. One of texts needs its layers, and its tokenizer stays outside: the file
    takes token ids, and :func:`predict_texts` makes them.

    The softmax is added here; a model that ends in one already is taken as it is. Weights are written, the optimizer is
    not. A file appears when it is whole, and the ``.keras`` file is read back in Keras' safe mode before that.

    Args:
        model: From raw pixels ``(n, h, w, c)`` in 0..255, or token ids ``(n, length)``, to logits, as
            :func:`tlkit.heads.join` makes it; or the backbone and the head.
        path: Where to put it, ``NAME.keras`` in an existing folder; other formats come beside it.
        classes: The name of each class, in the order of the logits: ``domain.classes``.
        name: What the file says of itself; ``None`` is the model's own name.
        overwrite: Replace files that are there.
        formats: Any of ``"keras"``, ``"onnx"`` (needs tf2onnx) and ``"litert"`` (``NAME.tflite``, TensorFlow's own
            converter). ONNX keeps the class names in its ``metadata_props`` as ``classes``, LiteRT in ``labels.txt``,
            an associated file at its end, readable as a zip. Texts have ``"keras"`` alone.

    Returns:
        The files that were written, in the order of ``formats``.

    Raises:
        ValueError: An argument is out of range, a file exists, the model holds a Lambda layer or a layer that only this
            notebook knows, it ends in a sigmoid, a weight is NaN or infinite, or a converter cannot write it.
        ImportError: A library that a format needs is not installed.
        OSError: The folder cannot be written to, or the disk is full; nothing is there then that was not before.
    """
    whole = model if isinstance(model, keras.Model) else _joined(model)
    names = _check_classes(classes)
    target = check_path("path", path, "a .keras file")
    wanted = _check_formats(formats)
    files = [target.with_suffix(_SUFFIX_OF[kind]) for kind in wanted]
    if target.suffix != ".keras":
        raise ValueError(f"path must end in .keras, got {str(path)!r}.")
    if not target.parent.is_dir():
        raise ValueError(f"path must lie in an existing folder, got {str(path)!r}.")
    for file in files:
        if file.exists() and (not overwrite or file.is_dir()):
            raise ValueError(f"path must be new, or overwrite=True and no folder, got {str(file)!r}, which exists.")
    probabilities = _with_probabilities(whole, names)
    if wanted != ["keras"] and _takes_texts(probabilities):
        raise ValueError(f"formats must be ('keras',) for a model of texts, got {tuple(wanted)}.")
    called = whole.name if name is None else str(name)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".tlkit-export-") as folder:
        made = [Path(folder) / file.name for file in files]
        for kind, file in zip(wanted, made, strict=True):
            with _naming(target):
                _WRITERS[kind](probabilities, file, names, called)
        for file, final in zip(made, files, strict=True):
            file.replace(final)
    return tuple(files)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """A disk that is full, or a folder that is closed, comes out as one line that names the file to be written."""
    try:
        yield
    except OSError as error:  # HDF5 says it over several numbers, and names the temporary file or none
        why = os.strerror(error.errno) if error.errno else reason(error)
        raise OSError(error.errno or errno.EIO, f"the model could not be written ({why})", str(path)) from error


def _joined(pair: tuple[Backbone, keras.Model]) -> keras.Model:
    if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], Backbone):
        raise ValueError(f"model must be a Keras model or (backbone, head), got {type(pair).__name__}.")
    return join(pair[0].model, pair[1])


def _check_classes(classes: Sequence[str], what: str = "classes") -> list[str]:
    # A terminal obeys unprintable characters, and the names may come from a stranger's file.
    check_list(what, classes, "names")
    if isinstance(classes, str) or not all(isinstance(name, str) and name and name.isprintable() for name in classes):
        raise ValueError(f"{what} must be printable names, one a class, got {str(classes)[:200]}.")
    if len(set(classes)) != len(classes) or len(classes) < 2:
        raise ValueError(f"{what} must be two or more different names, got {str(tuple(classes))[:200]}.")
    return list(classes)


def _check_formats(formats: Sequence[str]) -> list[str]:
    check_list("formats", formats, "names")
    wanted = [formats] if isinstance(formats, str) else list(dict.fromkeys(formats))
    if not wanted:
        raise ValueError(f"formats must be one or more of {', '.join(map(repr, _SUFFIX_OF))}, got none.")
    for kind in wanted:
        if kind not in _SUFFIX_OF:
            raise ValueError(f"a format must be {nearest_name(kind, _SUFFIX_OF)}")
    if "onnx" in wanted and not (importlib.util.find_spec("tf2onnx") and importlib.util.find_spec("onnx")):
        raise ImportError("ONNX needs tf2onnx, which is not installed: pip install tf2onnx, or leave 'onnx' out.")
    if "litert" in wanted and not hasattr(getattr(tf, "lite", None), "TFLiteConverter"):
        raise ImportError(f"LiteRT needs tf.lite, which TensorFlow {tf.__version__} lacks: leave 'litert' out.")
    return wanted


def _with_probabilities(model: keras.Model, classes: list[str]) -> keras.Model:
    """The model with a softmax at its end, from one tensor to one tensor, checked to hold layers that are known."""
    if not has_graph(model) or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError("model must be functional or sequential, with one input and one output, got another kind.")
    shape, outputs = model.inputs[0].shape[1:], model.outputs[0].shape[1:]
    if not (_takes_texts(model) or _takes_images(model)):
        raise ValueError(
            "model must take images of one size (h, w, c) with 1 or 3 channels, or token ids (length,), got "
            f"{tuple(shape)} {model.inputs[0].dtype}."
        )
    if len(outputs) != 1 or outputs[0] != len(classes):
        raise ValueError(f"classes must be as many as the model's outputs, {tuple(outputs)}, got {len(classes)}.")
    for placed in placed_layers(model):
        if isinstance(placed.layer, keras.layers.Lambda):
            raise ValueError(
                f"model must hold no Lambda layer (it is code, which safe mode refuses), got {placed.path!r}: use "
                "keras.ops, or a layer of Keras."
            )
        if type(placed.layer).__module__.partition(".")[0] not in _known_packages(model):
            raise ValueError(
                f"model must hold layers of Keras alone, which another machine knows, got {placed.path!r} "
                f"({type(placed.layer).__name__})."
            )
    lost = not_finite(model)
    if lost is not None:
        raise ValueError(f"model must have finite weights, got NaN or infinity in {lost!r}: it would predict NaN.")
    ending = _ending(model)
    if ending == "sigmoid":
        raise ValueError("model must end in logits or a softmax, got a sigmoid: leave it out, and train on logits.")
    x = model.outputs[0]
    if ending != "softmax":
        x = keras.layers.Softmax(dtype="float32", name="probabilities")(x)
    return keras.Model(model.inputs[0], x, name=name_in_graphs(model.name))


def _takes_texts(model: keras.Model) -> bool:
    shape, kind = model.inputs[0].shape[1:], model.inputs[0].dtype
    return len(shape) == 1 and keras.backend.is_int_dtype(kind)


def _takes_images(model: keras.Model) -> bool:
    shape = model.inputs[0].shape[1:]
    return len(shape) == 3 and None not in shape and shape[-1] in (1, 3)


def _known_packages(model: keras.Model) -> tuple[str, ...]:
    return (*_KNOWN_PACKAGES, "tlkit") if _takes_texts(model) else _KNOWN_PACKAGES


def _ending(model: keras.Model) -> str:
    """``"softmax"``, ``"sigmoid"`` or ``"other"``: what the last operation does."""
    last = next(last_operations(model), None)
    activation = getattr(last, "activation", None)
    kind = type(last).__name__ if activation is None else getattr(activation, "__name__", type(activation).__name__)
    return kind.lower() if kind.lower() in ("softmax", "sigmoid") else "other"


# Writing ------------------------------------------------------------------------------------------------------------


def _write_keras(model: keras.Model, path: Path, classes: list[str], name: str) -> None:
    with warnings.catch_warnings():
        # Keras 3.15 hands its variables to h5py in a way that NumPy 2 is going to drop.
        warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy", DeprecationWarning)
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")  # refused below
        model.save(path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(_MEMBER, json.dumps({"version": _VERSION, "name": name, "classes": classes}, ensure_ascii=False))
        registered = _registered(json.loads(file.read("config.json")))
        own = next((own for own in registered if own.partition(">")[0] not in _known_packages(model)), None)
    if own is not None:  # this notebook would read it back, another machine not
        raise ValueError(f"model must hold layers and functions of Keras alone, got {own!r}.")
    try:
        load_exported(path)
    except ValueError as error:
        raise ValueError(f"model must be one that another machine can read, but {error}") from error


def _registered(config: Any) -> Iterator[str]:
    """The names under which somebody registered layers and functions of their own with Keras."""
    if isinstance(config, dict):
        name = config.get("config" if config.get("class_name") == "function" else "registered_name")
        if isinstance(name, str) and ">" in name:
            yield name
    if isinstance(config, (dict, list)):
        for inner in config.values() if isinstance(config, dict) else config:
            yield from _registered(inner)


def _write_onnx(model: keras.Model, path: Path, classes: list[str], name: str) -> None:
    onnx = importlib.import_module("onnx")  # it may not be there, and type checkers need not know
    model(tf.zeros((1, *model.inputs[0].shape[1:])))  # Keras' ONNX export wants a model that was called
    _convert(model, path, "onnx")
    written = onnx.load(path)
    onnx.helper.set_model_props(written, {"name": name, "classes": json.dumps(classes, ensure_ascii=False)})
    onnx.save(written, path)


def _write_litert(model: keras.Model, path: Path, classes: list[str], name: str) -> None:
    _convert(model, path, "litert")
    # TFLite's metadata specification: associated files are a zip at the end of the model.
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("labels.txt", "".join(f"{label}\n" for label in classes))


def _convert(model: keras.Model, path: Path, kind: str) -> None:
    try:
        with start_up_lines_dropped(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the converters' remarks on each other's versions
            model.export(path, format=kind, verbose=False)
    except Exception as error:  # the converters raise many types, over many lines
        raise ValueError(
            f"{kind!r} must be a format that Keras {keras.__version__} can write for this model, got: {reason(error)}"
        ) from error


_WRITERS = {"keras": _write_keras, "onnx": _write_onnx, "litert": _write_litert}


# Reading ------------------------------------------------------------------------------------------------------------


def _existing(path: str | Path, what: str) -> Path:
    file = check_path(what, path, "a .keras file")
    if file.suffix != ".keras" or not file.is_file():
        raise ValueError(f"{what} must be an existing .keras file, got {str(path)!r}.")
    return file


def load_safely(path: str | Path, what: str = "path") -> keras.Model:
    """A saved model, without running code that the file brings along (pickles and Lambda layers are refused).

    Args:
        path: A ``.keras`` file.
        what: How errors call it.

    Raises:
        ValueError: No such file, no ``.keras`` file, or one that Keras does not load in safe mode.
    """
    file = _existing(path, what)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as members:
            size = sum(member.file_size for member in members.infolist())
        if size > _UNPACKED * file.stat().st_size:
            raise ValueError(f"{what} must not unpack to {_UNPACKED} times its size or more, got {file.name}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that an optimizer's state is left out does not matter here
            return keras.models.load_model(file, safe_mode=True)
    except Exception as error:  # Keras raises many types, over many lines
        # Keras puts the cause last, after the whole configuration.
        cause = one_line(str(error).split("Exception encountered:")[-1], 200) or type(error).__name__
        raise ValueError(
            f"{what} must be a model that Keras can load in safe mode, got {file.name}: {cause}"
        ) from error


def load_exported(path: str | Path) -> Exported:
    """Read what :func:`export_model` wrote, in Keras' safe mode: no pickle, no Lambda layer, no code from the file.

    Raises:
        ValueError: No such file, no whole ``.keras`` file, a file without class names, one that safe mode refuses, or
            one whose class names and model do not fit each other.
    """
    file = _existing(path, "path")
    name, classes = _read_member(file)
    model = load_safely(file)
    shape: tuple[Any, ...] = model.inputs[0].shape[1:] if getattr(model, "inputs", None) else ()
    outputs: tuple[Any, ...] = model.outputs[0].shape[1:] if getattr(model, "outputs", None) else ()
    if not shape or not (_takes_texts(model) or _takes_images(model)) or tuple(outputs) != (len(classes),):
        raise ValueError(
            f"the model in {file.name} must take images (h, w, c) or token ids and give {len(classes)} probabilities, "
            f"one a class, got {tuple(shape)} and {tuple(outputs)}."
        )
    if _ending(model) != "softmax":
        raise ValueError(f"the model in {file.name} must end in a softmax: export it by tlkit.export_model.")
    return Exported(model, tuple(classes), tuple(shape), name)


def _read_member(file: Path) -> tuple[str, list[str]]:
    """The name and the class names that the file says."""
    if not zipfile.is_zipfile(file):
        raise ValueError(f"path must be a whole .keras file, which is a zip, got {file.name}, which is none.")
    try:
        with zipfile.ZipFile(file) as members:
            names = members.namelist()
            if "config.json" not in names or "model.weights.h5" not in names:
                raise ValueError(f"path must be a file that Keras saved, got {file.name}, a zip of something else.")
            if _MEMBER not in names:
                raise ValueError(
                    f"{file.name} must hold class names, got none: load it by keras.models.load_model and write it by "
                    "tlkit.export_model(model, path, classes=...)."
                )
            if members.getinfo(_MEMBER).file_size > _MEMBER_BYTES:
                raise ValueError(f"{_MEMBER} in {file.name} must be {_MEMBER_BYTES:,} bytes or less.")
            said = json.loads(members.read(_MEMBER))
    except (zipfile.BadZipFile, json.JSONDecodeError, UnicodeDecodeError, RecursionError, NotImplementedError) as error:
        raise ValueError(f"path must be a whole .keras file, got {file.name}, which is damaged.") from error
    if not isinstance(said, dict) or said.get("version") != _VERSION:
        raise ValueError(f"{_MEMBER} in {file.name} must be of version {_VERSION}: it is another tlkit's, or damaged.")
    classes = said.get("classes")
    if not isinstance(classes, list):
        raise ValueError(f"{_MEMBER} in {file.name} must hold a list of class names.")
    name = said.get("name")
    called = name if isinstance(name, str) and name.isprintable() else file.stem
    return called, _check_classes(classes, f"classes in {file.name}")


# Predicting ---------------------------------------------------------------------------------------------------------


def find_pictures(sources: Sequence[str | Path]) -> list[Path]:
    """The pictures in files, folders (with all that is under them) and patterns such as ``photos/*.jpg``, each once.

    A file that is named is taken whatever its name; in a folder, those with a picture's suffix.

    Raises:
        ValueError: A source is no file, no folder, and matches nothing; or there is no picture in any.
    """
    found: dict[Path, None] = {}
    if isinstance(sources, (str, Path)) or not hasattr(sources, "__iter__"):
        raise ValueError(f"pictures must be a list of files, folders or patterns, got {one_line(repr(sources), 80)}.")
    for source in [check_path("pictures", source) for source in sources]:
        if source.is_dir():
            inside = sorted(path for path in source.rglob("*") if is_picture_name(path.name) and path.is_file())
            found.update(dict.fromkeys(path for path in inside if not _is_hidden(path.relative_to(source))))
        elif source.is_file():
            found[source] = None
        else:
            matches = sorted(glob.glob(str(source), recursive=True))  # noqa: PTH207 (Path.glob wants its root apart)
            if not matches:
                raise ValueError(f"pictures must be files, folders or a pattern, got {str(source)!r}: no such file.")
            found.update(dict.fromkeys(path for path in map(Path, matches) if path.is_file()))
    if not found:
        raise ValueError(f"there must be a picture in {', '.join(map(str, sources))}, got none.")
    return list(found)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def predict_images(exported: Exported, paths: Sequence[str | Path | Array] | Array, *, top: int = 1) -> pd.DataFrame:
    """The most likely classes of pictures, read as :func:`tlkit.load_folder` reads them: cropped and scaled.

    Args:
        exported: What :func:`load_exported` gave.
        paths: Picture files; or pictures that are in memory, as an array ``(n, h, w, c)`` such as ``split.x``, or
            ``(h, w, c)`` each, ``uint8`` in 0..255 with 1 or 3 channels.
        top: How many classes to name for each, 1 or more; no more than there are.

    Returns:
        A row for each file and rank, in the order of ``paths``: ``file``, ``rank`` from 1, ``class``, ``probability``
        in 0..1, and ``problem``, which is empty. A file that cannot be read, or for which the model gives NaN, has one
        row, without class, and ``problem`` says why. Of a picture in memory ``file`` is its place, from ``"0"``.

    Raises:
        ValueError: ``top`` is below 1, the model takes texts, or an array is no picture.
    """
    check_count("top", top)
    _check_exported(exported)
    if exported.is_text:
        raise ValueError(f"exported must take images, got {exported.name!r}, which takes texts: predict_texts.")
    rows: list[dict[str, Any]] = []
    for file, picture in _predicted(exported, _sources(exported, paths)):
        if isinstance(picture, str):
            rows.append({"file": file, "rank": 1, "class": None, "probability": np.nan, "problem": picture})
            continue
        rows += [{"file": file, **likely, "problem": ""} for likely in _ranked(exported, picture, top)]
    return pd.DataFrame(rows, columns=["file", "rank", "class", "probability", "problem"])


def predict_texts(
    exported: Exported, texts: Sequence[str], *, top: int = 1, max_length: int = MAX_LENGTH
) -> pd.DataFrame:
    """The most likely classes of texts, tokenized by :func:`tlkit.text.tokenize`.

    Args:
        exported: What :func:`load_exported` gave, of a model that has learned from that tokenizer's ids.
        texts: Strings.
        top: How many classes to name for each, 1 or more; no more than there are.
        max_length: Tokens of a text that are read, as in training; a longer one is cut.

    Returns:
        A row for each text and rank, in the order of ``texts``: ``text``, ``rank`` from 1, ``class``, ``probability``
        in 0..1.

    Raises:
        TypeError: ``texts`` is one string, or holds something that is no string.
        ValueError: ``top`` or ``max_length`` is out of range, there is no text, the model takes images, or it has
            another vocabulary.
        FloatingPointError: The model gives NaN for a text.
        tlkit.text.NotFetchedError: The tokenizer was not fetched.
    """
    check_count("top", top)
    _check_exported(exported)
    if not exported.is_text:
        raise ValueError(f"exported must take texts, got {exported.name!r}, which takes images: predict_images.")
    ids = tokenize(texts, max_length=max_length)
    # Its checks are wanted here too, and so is its way of running texts of like length together.
    try:
        probabilities = cache_features(exported.model, Split(ids, np.zeros(len(ids), np.int64)), cache_dir="memory").x
    except FloatingPointError as error:
        raise FloatingPointError(f"probabilities must be finite, got NaN from {exported.name!r}.") from error
    rows = [
        {"text": text, **likely}
        for text, found in zip(texts, probabilities, strict=True)
        for likely in _ranked(exported, found, top)
    ]
    return pd.DataFrame(rows, columns=["text", "rank", "class", "probability"])


def _check_exported(exported: object) -> None:
    if not isinstance(exported, Exported):
        raise ValueError(f"exported must be what load_exported gave, got {type(exported).__name__}.")


def _ranked(exported: Exported, probabilities: Any, top: int) -> list[dict[str, Any]]:
    """The ``top`` classes of one example, the most likely first."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [
        {"rank": rank, "class": exported.classes[i], "probability": float(probabilities[i])}
        for rank, i in enumerate(order, start=1)
    ]


def _sources(exported: Exported, paths: Sequence[str | Path | Array] | Array) -> list[tuple[str, Path | Array]]:
    """Each picture's name and where it is, those in memory at the size that the model takes."""
    if isinstance(paths, (str, Path)) or not hasattr(paths, "__iter__"):
        raise ValueError(
            f"paths must be a list of files or pictures, got the one {type(paths).__name__} {str(paths)!r}."
        )
    if isinstance(paths, np.ndarray) and paths.ndim != 4:
        raise ValueError(f"an array of pictures must have the shape (n, h, w, c), got {paths.shape}.")
    height, width, channels = exported.model.inputs[0].shape[1:]
    return [
        (str(place), fit_array(path, (height, width), channels))
        if isinstance(path, np.ndarray)
        else (str(file := check_path("paths", path, "a picture")), file)
        for place, path in enumerate(paths)
    ]


def _predicted(exported: Exported, files: list[tuple[str, Path | Array]]) -> Iterator[tuple[str, Any]]:
    """Each file's name with its probabilities ``(classes,)``, or with the reason why it has none."""
    height, width, channels = exported.model.inputs[0].shape[1:]
    for start in range(0, len(files), _BATCH):
        part = files[start : start + _BATCH]
        read: list[Any] = []
        for _, file in part:
            try:
                read.append(file if isinstance(file, np.ndarray) else read_picture(file, (height, width), channels))
            except PictureError as error:
                read.append(error.reason)
        pictures = [item for item in read if not isinstance(item, str)]
        probabilities = iter(
            exported.model.predict(np.stack(pictures), batch_size=_BATCH, verbose=0) if pictures else ()
        )
        for (name, _), item in zip(part, read, strict=True):
            found = item if isinstance(item, str) else next(probabilities)
            yield name, found if isinstance(found, str) or np.isfinite(found).all() else NO_NUMBER
