"""Features: split a backbone at the frozen boundary, and run the frozen part once.

The cache is the reason why freezing can be played with on a laptop: what does not change is not computed again, in this
epoch, this run or the next.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import math
import pickle
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlkit._keras import keras, tf
from tlkit._keras.code import Code
from tlkit._keras.graph import all_layers, calls_of, layers_within
from tlkit._keras.state import drawing_from
from tlkit._keras.tracing import as_written, graph_of
from tlkit.backbones import Backbone
from tlkit.backbones.graph import as_graph, check_model
from tlkit.domains import Array, Split, check_count, check_split
from tlkit.files.store import MAX_BYTES, Parts, Store, array_digest, drop_pages, open_store
from tlkit.folders import Pictures
from tlkit.scale import check_engine, over_nodes
from tlkit.words import some_of

__all__ = [
    "Form",
    "batches",
    "cache_features",
    "check_labels",
    "check_shape",
    "check_tokens",
    "fits_shape",
    "lengths",
    "longest",
    "multiply_adds",
    "multiply_adds_of",
    "padded_alike",
    "pool_features",
    "reads_any_length",
    "split_at",
    "without_padding",
]

# Augmentation draws its random numbers batch by batch, so its batch size is part of what a view is.
_AUGMENT_BATCH = 32
# The largest activation of a batch should stay near the processor's caches; measured with ResNet50 and resnet_printed.
_ACTIVATION_BYTES = 16 * 2**20
_DROP_PAGES_EVERY = 16 * 2**20
_CONSTANT_BYTES = 16 * 2**20  # TensorFlow copies what it holds as a constant: a larger split stays NumPy's
# Texts that are sorted by length together, and those that run at once.
_TEXT_BLOCK, _TEXT_BATCH = 512, 32
_PART = 512  # images, or the next whole number of batches, that one process of many runs at a time
# The code of which a word was said already: once a process is enough.
_said: set[str] = set()


def split_at(backbone: Backbone, stage: int) -> tuple[keras.Model, keras.Model]:
    """The backbone as ``(trunk, tail)``: the part up to the end of ``stage``, and the rest.

    Weights are shared, not copied: training the tail trains the backbone. At stage 0 the trunk passes the raw image, or
    the token ids, on; at the last stage the tail passes the features on. Between two blocks of a Transformer features
    are vectors of tokens ``(n, length, width)``, zero where there is padding.

    Raises:
        ValueError: ``stage`` is out of range.
    """
    boundary = backbone.boundary(stage)
    name = re.sub(r"[^A-Za-z0-9_.-]|^[_-]", ".", backbone.name)  # TensorFlow's graphs take no other characters
    trunk = keras.Model(backbone.model.input, boundary, name=f"{name}_trunk{stage}")
    if stage == backbone.n_stages:
        features = keras.Input(boundary.shape[1:], name="features")
        # Keras 3.12 and 3.13 build no model whose output is its input: a layer stands between.
        passed_on = keras.layers.Identity(name="pass_on")(features)
        tail = keras.Model(features, passed_on, name=f"{name}_tail{stage}")
    else:
        tail = keras.Model(boundary, backbone.model.output, name=f"{name}_tail{stage}")
    return trunk, tail


def multiply_adds(model: keras.Model, *, length: int | None = None) -> int:
    """Multiply-adds of one forward pass over one example, in the convolutions and dense layers.

    Everything else (BatchNorm, activations, pooling) is left out: in a ResNet that is about a hundredth, and in a
    Transformer the products of attention, which are a thirtieth at 64 tokens of width 384. A backward pass costs about
    twice a forward pass through the layers that learn.

    Args:
        length: Tokens of a text, where the model takes texts of any length.

    Raises:
        ValueError: A layer's output size is not known, as with images of any size, or texts without ``length``.
    """
    return multiply_adds_of(layers_within(model), length=length)


def multiply_adds_of(layers: Iterable[keras.layers.Layer], *, length: int | None = None) -> int:
    """The same of these layers alone, not of those within them."""
    total = 0
    for layer in layers:
        if isinstance(layer, keras.layers.Dense):
            inner = [length if size is None else size for size in layer.output.shape[1:-1]]
            if None in inner:
                raise ValueError(f"length of texts must be known to count, got None at {layer.name!r}.")
            total += math.prod(size or 0 for size in inner) * int(np.prod(layer.kernel.shape))
        elif isinstance(layer, (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            shape = layer.output.shape[1:-1] if layer.data_format == "channels_last" else layer.output.shape[2:]
            if None in shape:
                raise ValueError(
                    f"the size of images must be known to count, got {tuple(layer.output.shape)} in {layer.name!r}."
                )
            total += int(np.prod(shape)) * int(np.prod(layer.kernel.shape))
    return total


def cache_features(
    trunk: keras.Model,
    split: Split | Pictures,
    *,
    views: int = 1,
    augment: keras.layers.Layer | None = None,
    seed: int = 0,
    dtype: str = "float32",
    cache_dir: str | Path | None = None,
    max_bytes: int = MAX_BYTES,
    engine: str = "local",
    workers: int | None = None,
    gpus: float = 0.0,
) -> Split:
    """Run the trunk once over all examples, in inference mode, and keep what comes out.

    The features are found again, in this process or another, by what they were computed from: the trunk's weights and
    architecture, the images, the augmentation, views, seed and dtype, and the versions of the packages whose layers
    these are: TensorFlow, Keras, tlkit. A change of any of them computes anew; so does a stored file that was cut short
    or altered, with a warning.

    Code of your own cannot be compared, as it may read anything: a layer class, an activation function, a Lambda, a
    ``call`` that you put on a layer of Keras. Nor can tables of words, such as IntegerLookup's. With one of them in the
    trunk or the augmentation each call computes anew and stores nothing that is found again, and the first one says so
    in a warning.

    Inference mode drops nothing: where frozen stages have dropout, full training drops units there and training on
    cached features does not. Without dropout the two are the same training. Of images the weights come out equal bit
    for bit with oneDNN on x86 (``import tlkit`` turns it on, unless ``TF_ENABLE_ONEDNN_OPTS`` is set or TensorFlow was
    imported before). Elsewhere, and of texts, each step is the same up to rounding, since the trunk runs in batches of
    another size and a sum depends on its order (docs/pieces.md has figures).

    Args:
        trunk: From ``split.x`` to features; :func:`split_at` makes it. A functional model, or a sequential one that is
            built.
        split: Images, texts, or features of an earlier stage.
        views: How many augmented versions of each image to keep, 1 or more. More than one needs ``augment``.
        augment: A Keras layer that changes raw images 0..255 at random, such as
            ``keras.Sequential([keras.layers.RandomRotation(0.05), ...])``. ``None`` keeps the images as they are. Texts
            take none.
        seed: Draws the augmented views.
        dtype: What features are stored as, ``"float32"`` or ``"float16"``: half the space, and no measured effect on
            accuracy (resnet_printed, 100 labels of mnist and of optdigits, 5 draws each, a linear probe and a trained
            head: the same test accuracies as in float32). Training computes in single precision.
        cache_dir: Where to keep features; ``None`` is the user's cache directory, ``"memory"`` keeps nothing on disk.
        max_bytes: Features that take more than this stay on disk and are read back batch by batch while training, so
            that memory stays flat however many images there are.
        engine: ``"local"``, this process, or ``"ray"``, several, which takes no ``augment``, no code of your own, and
            no ``cache_dir="memory"``.
        workers: With ``"ray"``, how many processes; as many as there are cores, or GPUs, by default.
        gpus: With ``"ray"``, GPUs for each process, or a part of one.

    Returns:
        A split with ``views * n`` examples: all images' first view, then all images' second. Features ``(…, …)`` in
        ``dtype``, vectors of tokens at the length of the ids; labels repeat in the same order.

    Raises:
        ValueError: An argument is out of range, the images have another shape than the trunk takes, it computes in
            double precision, a picture cannot be read, or Ray is not installed where it is asked for.
        FloatingPointError: The trunk gave NaN or infinite features.
        OSError: The features take more than ``max_bytes`` and the disk cannot hold them.
    """
    check_shape(trunk, split)
    _check_options(views, augment, seed, dtype, cache_dir, engine, workers)
    if isinstance(trunk, keras.Sequential):
        trunk = as_graph(trunk)
    if len(trunk.operations) == 1 and augment is None and isinstance(split, Split):
        return split  # the trunk of stage 0 passes images on: there is nothing to compute
    if trunk.output.dtype == "float64":
        raise ValueError(f"features must be float32 or less precise, got float64 from {trunk.name!r}.")
    y = np.tile(split.y, views)
    groups = None if split.groups is None else np.tile(split.groups, views)
    shape = (len(y), *_row_shape(trunk, split.x))
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    rows = _feature_rows(trunk, split.x, views=views, augment=augment, seed=seed, dtype=dtype)
    if cache_dir == "memory":
        if size > max_bytes:
            raise ValueError(f"features must take max_bytes={max_bytes:,} or less to be kept in memory, got {size:,}.")
        return Split(_filled(shape, dtype, rows), y, groups)
    store = open_store(cache_dir)
    if augment is not None and not augment.built:
        augment.build((None, *split.x.shape[1:]))  # some configurations change when they are built
    forms = [Form(layer) for layer in (trunk, augment) if layer is not None]
    if unknown := list(dict.fromkeys(name for form in forms for name in form.unknown)):
        if engine == "ray":
            raise ValueError(
                f"the trunk must run Keras', TensorFlow's and tlkit's code for 'ray', got {some_of(unknown)}."
            )
        _say_not_stored(unknown)
        if size <= max_bytes:
            return Split(_filled(shape, dtype, rows), y, groups)
        return Split(store.stream_once("features", shape, np.dtype(dtype), rows), y, groups)
    key = _key(trunk, split.x, forms, views=views, augment=augment, seed=seed, dtype=dtype)
    x = store.read(key, in_memory_up_to=max_bytes)
    if x is None or (x.shape, x.dtype) != (shape, np.dtype(dtype)):
        if engine == "ray":
            rows = _rows_of_many(trunk, split.x, store.parts(key), dtype, workers, gpus)
        x = (
            _keep_small(store, key, shape, dtype, rows)
            if size <= max_bytes
            else store.stream("features", key, shape, np.dtype(dtype), rows)
        )
        store.parts(key).drop()
    return Split(x, y, groups)


def _row_shape(trunk: keras.Model, x: Any) -> tuple[int, ...]:
    """The shape of one example's features, where the trunk takes images or texts of any size."""
    if len(x.shape) == 2:  # a text's vectors have as many positions as its ids
        return tuple(x.shape[1] if size is None else size for size in trunk.output_shape[1:])
    return tuple(trunk.compute_output_shape((1, *x.shape[1:]))[1:])


def _check_options(
    views: int,
    augment: keras.layers.Layer | None,
    seed: int,
    dtype: str,
    cache_dir: str | Path | None,
    engine: str,
    workers: int | None,
) -> None:
    check_count("views", views)
    check_count("seed", seed, least=0)
    if views > 1 and augment is None:
        raise ValueError(f"augment must be a Keras layer when views is above 1, got None with {views} views.")
    if dtype not in ("float32", "float16"):
        raise ValueError(f"dtype must be 'float32' or 'float16', got {dtype!r}.")
    check_engine(engine, workers)
    if engine == "ray" and augment is not None:
        raise ValueError("augment must be None for engine='ray', got a layer: its views are drawn one after the other.")
    if engine == "ray" and cache_dir == "memory":
        raise ValueError("cache_dir must be a folder for engine='ray', which keeps there what is done, got 'memory'.")


def _say_not_stored(unknown: list[str]) -> None:
    names = some_of(unknown)
    if names not in _said:
        warnings.warn(
            f"features are computed in each call and not stored: {names} is code outside Keras, TensorFlow and tlkit, "
            "or has no configuration that shows all of it, and tlkit would not see a change of it.",
            stacklevel=3,
        )
        _said.add(names)


def _filled(shape: tuple[int, ...], dtype: str, rows: Iterator[Array]) -> Array:
    """All rows in one array, filled batch by batch: joining a list of them would hold everything twice."""
    x = np.empty(shape, dtype)
    end = 0
    for batch in rows:
        x[end : end + len(batch)] = batch
        end += len(batch)
    if end != len(x):
        raise RuntimeError(f"features must have {len(x):,} rows, got {end:,}.")
    return x


def _keep_small(store: Store, key: str, shape: tuple[int, ...], dtype: str, rows: Iterator[Array]) -> Array:
    """Compute in memory, then store; a disk that is full or read-only costs a word, not the features."""
    x = _filled(shape, dtype, rows)
    try:
        with store.writer(key, x.shape, x.dtype) as writer:
            writer.append(x)
            writer.commit()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        warnings.warn(f"features are kept in memory only: {store.folder} cannot hold them ({reason}).", stacklevel=3)
    return x


def _batch_of(x: Any) -> Any:
    """What a graph takes: any number of what ``x`` holds, of texts of any length."""
    return tf.TensorSpec((None, None) if x.dtype == np.int32 else (None, *x.shape[1:]), x.dtype)


def _compiled(trunk: keras.Model, x: Any, augment: keras.layers.Layer | None = None) -> Any:
    """From a batch of what ``x`` holds to its features, as a graph."""

    def forward(batch: Any) -> Any:
        if augment is not None:
            batch = augment(tf.cast(batch, "float32"), training=True)
        return tf.cast(trunk(batch, training=False), "float32")

    return graph_of(forward, [_batch_of(x)])


class Form:
    """What a model or layer is beside the values of its weights: as long as it is the same, a graph of it stays right.

    Attributes:
        unknown: What does not show: code of somebody's own, which may read anything, and what Keras cannot write down.
            Where there is any, two forms are not surely alike.
        written: All that shows, as plain values that are equal in another process.
    """

    def __init__(self, model: keras.layers.Layer) -> None:
        code, architecture = Code(model), None
        self.unknown, self._variables = code.foreign, list(model.variables)
        if not self.unknown:
            try:
                architecture = _architecture(model)
            except (TypeError, ValueError, NotImplementedError):  # a partial has no configuration
                self.unknown = [model.name]
        self.written = (architecture, code.settings, code.versions(), keras.config.epsilon(), keras.config.floatx())

    def same(self, other: Form) -> bool:
        """Whether nothing of it is another in the other one."""
        variables, others = ([*map(id, form._variables)] for form in (self, other))
        return variables == others and self.written == other.written


@dataclass(frozen=True, eq=False)
class _Kept:
    """A graph that stays with its model, and what the model was when it was made."""

    batch: Any
    form: Form
    run: Any


def _kept_run(trunk: keras.Model, x: Any) -> Any:
    """:func:`_compiled`, made once for a model as it is: the next call finds it, whatever the weights are by then.

    Of what a form does not show the graph is made in each call.
    """
    batch, form = _batch_of(x), Form(trunk)
    if form.unknown:
        return _compiled(trunk, x)
    attributes = vars(trunk)  # set there, Keras does not see it as a part
    kept = attributes.get("_tlkit_features")
    if kept is None or kept.batch != batch or not kept.form.same(form):
        kept = attributes["_tlkit_features"] = _Kept(batch, form, _compiled(trunk, x))
    return kept.run


def _feature_rows(
    trunk: keras.Model,
    x: Any,
    *,
    views: int,
    augment: keras.layers.Layer | None,
    seed: int,
    dtype: str,
    run: Any = None,
) -> Iterator[Array]:
    """Features batch by batch: the whole of one view before the next. ``run`` is :func:`_compiled`, if it is there."""
    run = run or (_kept_run(trunk, x) if augment is None else _compiled(trunk, x, augment))
    if x.dtype == np.int32:
        if augment is not None:
            raise ValueError("augment must be None for texts, got a layer: it changes images.")
        yield from _text_rows(run, x, dtype, cut=reads_any_length(trunk))
        return
    batch_size = fitting_batch_size(trunk)
    if augment is not None:
        batch_size = _AUGMENT_BATCH
        with drawing_from(seed):  # AugMix chooses what it does when its graph is made
            run = run.get_concrete_function()
    with _seeded(augment, seed):
        since_dropped = 0
        for _ in range(views):
            for start in range(0, len(x), batch_size):
                batch = x[start : start + batch_size]
                rows = _as_stored(run(tf.constant(batch)).numpy(), dtype)
                yield rows
                since_dropped += batch.nbytes
                if since_dropped > _DROP_PAGES_EVERY:
                    drop_pages(x)
                    since_dropped = 0


def _as_stored(rows: Array, dtype: str) -> Array:
    with np.errstate(over="ignore"):  # what half precision cannot hold is an error below
        stored: Array = rows.astype(dtype, copy=False)
    if not np.isfinite(stored).all():
        raise FloatingPointError(f"features must be finite, got NaN or infinite values as {dtype}.")
    return stored


def _text_rows(run: Any, ids: Array, dtype: str, *, cut: bool) -> Iterator[Array]:
    """Features of texts, in order; within a block texts of like length run together, so that little padding runs."""
    for start in range(0, len(ids), _TEXT_BLOCK):
        block = ids[start : start + _TEXT_BLOCK]
        order = np.argsort(lengths(block), kind="stable")
        rows: Array | None = None
        for chosen in np.array_split(order, -(-len(order) // _TEXT_BATCH)):
            used = longest(block[chosen]) if cut else ids.shape[1]
            found = _as_stored(run(tf.constant(block[chosen, :used])).numpy(), dtype)
            if rows is None:  # vectors of tokens are padded with zeros again, as the ids are
                whole = (ids.shape[1], *found.shape[2:]) if found.ndim == 3 else found.shape[1:]
                rows = np.zeros((len(block), *whole), dtype)
            if found.ndim == 3:
                rows[chosen, :used] = found
            else:
                rows[chosen] = found
        if rows is not None:
            yield rows


class _InProcess:
    """The trunk in one of many processes, with a core of its own; called with pixels, or with pictures to be read."""

    def __init__(self, trunk: bytes, modules: list[str], dtype: str) -> None:
        for name in modules:  # layers of tlkit's are known to Keras once they are imported
            importlib.import_module(name)
        with contextlib.suppress(RuntimeError):  # TensorFlow was used before in this process
            tf.config.threading.set_intra_op_parallelism_threads(1)
        self._trunk, self._dtype, self._run = pickle.loads(trunk), dtype, None

    def __call__(self, part: Any) -> Array:
        x = part[:]
        self._run = self._run or _compiled(self._trunk, x)
        options: Any = {"views": 1, "augment": None, "seed": 0}
        return np.concatenate(list(_feature_rows(self._trunk, x, dtype=self._dtype, run=self._run, **options)))


def _rows_of_many(
    trunk: keras.Model, x: Any, parts: Parts, dtype: str, workers: int | None, gpus: float
) -> Iterator[Array]:
    """Features part by part, computed by many processes; what an earlier call has computed is not computed again."""
    length = _TEXT_BLOCK
    if x.dtype != np.int32:
        batch_size = fitting_batch_size(trunk)
        length = -(-_PART // batch_size) * batch_size  # so that each batch is one that one process would run
    starts = range(0, len(x), length)
    missing = [number for number in range(len(starts)) if parts.read(number) is None]
    modules = {type(layer).__module__ for layer in all_layers(trunk)}
    arguments = (pickle.dumps(trunk), sorted(name for name in modules if name.startswith("tlkit.")), dtype)
    cut = getattr(x, "part", lambda start, stop: np.array(x[start:stop]))
    tasks = (cut(starts[number], starts[number] + length) for number in missing)
    if missing:
        for place, rows in over_nodes(_InProcess, arguments, tasks, workers=workers, gpus=gpus):
            parts.keep(missing[place], rows)
    for number in range(len(starts)):
        found = parts.read(number)
        if found is None:
            raise OSError(f"a part of the features was removed from {parts.folder} meanwhile: call again.")
        yield found


class _seeded:
    """Within it the layer's random generators start from ``seed``; afterwards they are where they were."""

    def __init__(self, layer: keras.layers.Layer | None, seed: int) -> None:
        variables = [] if layer is None else layer.variables
        self._states = [variable for variable in variables if variable.name == "seed_generator_state"]
        self._seed = seed

    def __enter__(self) -> None:
        self._before = [state.numpy() for state in self._states]
        for number, state in enumerate(self._states):
            start = np.random.SeedSequence([self._seed, number]).generate_state(2)
            state.assign(start.astype(state.dtype))

    def __exit__(self, *_: object) -> None:
        for state, before in zip(self._states, self._before, strict=True):
            state.assign(before)


def fitting_batch_size(model: keras.Model) -> int:
    """How many examples to run at once: a power of two in 8..256 whose largest activation is ``_ACTIVATION_BYTES``."""
    inner = (layer for part in model.layers for layer in (part.layers if isinstance(part, keras.Model) else [part]))
    largest = max((int(np.prod(tensor.shape[1:])) for layer in inner for tensor in _outputs(layer)), default=1)
    fitting = max(1, _ACTIVATION_BYTES // (4 * largest))
    return int(min(256, max(8, 2 ** (fitting.bit_length() - 1))))


def _outputs(layer: keras.layers.Layer) -> list[Any]:
    tensors = [tensor for call in itertools.islice(calls_of(layer), 1) for tensor in call.outputs]
    return [tensor for tensor in tensors if None not in tensor.shape[1:]]


# What a layer's configuration says of training, or of how it was built, which inference does not depend on.
_NOT_INFERENCE = (
    "trainable", "_initializer", "_regularizer", "_constraint", "momentum", "seed", "build_config", "build_input_shape",
)  # fmt: skip


def _key(
    trunk: keras.Model,
    x: Any,
    forms: list[Form],
    *,
    views: int,
    augment: keras.layers.Layer | None,
    seed: int,
    dtype: str,
) -> str:
    """What the features are computed from, as one hash (joblib's, SHA-1 over every array)."""
    import joblib

    parts: dict[str, Any] = {
        "forms": [form.written for form in forms],
        "weights": [variable.numpy() for variable in trunk.weights],
        "images": x.digest() if hasattr(x, "digest") else array_digest(x),
        "augment": None,
        "dtype": dtype,
        "tensorflow": tf.__version__,
    }
    if augment is not None:
        # A layer such as Normalization has a state that its configuration does not show.
        state = [variable.numpy() for variable in augment.variables if variable.name != "seed_generator_state"]
        parts["augment"] = (state, views, seed, _AUGMENT_BATCH)
    return str(joblib.hash(parts, hash_name="sha1"))


def _architecture(layer: keras.layers.Layer) -> str:
    """A layer's or model's configuration, as far as inference depends on it.

    Keras numbers its automatic names through a process (``flip``, then ``flip_1``): names are replaced by the order of
    their first appearance.
    """
    numbers: dict[str, int] = {}

    def numbered(name: Any) -> Any:
        return numbers.setdefault(name, len(numbers)) if isinstance(name, str) else name

    def simplify(config: Any, key: str = "") -> Any:
        if isinstance(config, dict):
            kept = {k: v for k, v in config.items() if not str(k).endswith(_NOT_INFERENCE)}
            return {k: numbered(v) if k == "name" else simplify(v, k) for k, v in kept.items()}
        if not isinstance(config, (list, tuple)):
            return config
        if key == "keras_history" or (key in ("input_layers", "output_layers") and len(config) == 3):
            return [numbered(config[0]), *config[1:]]
        inner = [item for item in config if not (isinstance(item, dict) and item.get("class_name") == "InputLayer")]
        return [simplify(item, key) for item in inner]

    return json.dumps(simplify(keras.saving.serialize_keras_object(layer)), sort_keys=True, default=str)


def check_shape(model: keras.Model, split: Split | Pictures) -> None:
    """Raise ``ValueError`` unless ``model`` is a built Keras model that takes what ``split``, a split, holds."""
    check_model(model)
    if not isinstance(split, Pictures):
        check_split("examples", split)
    if not getattr(model, "inputs", None):
        raise ValueError(f"model must be functional or sequential, got {model.name!r} ({type(model).__name__}).")
    wanted, given = model.input_shape[1:], split.x.shape[1:]
    if not fits_shape(wanted, given):
        raise ValueError(f"examples must have the shape that {model.name!r} takes, {wanted}, got {given}.")
    if isinstance(split, Split) and split.is_text:
        check_tokens(model, split.x)
    elif keras.backend.is_int_dtype(model.inputs[0].dtype) and _vocabulary(model):
        raise ValueError(f"examples must be token ids (int32), which {model.name!r} takes, got {split.x.dtype}.")


def check_labels(model: keras.Model, y: Array) -> None:
    """Raise ``ValueError`` if a label has no logit of the model's."""
    n_classes = model.output_shape[-1]
    if y.max() >= n_classes or y.min() < 0:
        wrong = y.min() if y.min() < 0 else y.max()
        raise ValueError(f"labels must be in 0..{n_classes - 1} (the head has {n_classes} logits), got {wrong}.")


def fits_shape(wanted: Sequence[int | None], given: Sequence[int]) -> bool:
    """Whether a shape is the wanted one, ``None`` in which is any size."""
    return len(wanted) == len(given) and all(w in (None, g) for w, g in zip(wanted, given, strict=True))


def check_tokens(model: keras.Model, ids: Array) -> None:
    """Raise ``ValueError`` if an id is none of the model's words, or a text has more tokens than it has positions.

    TensorFlow would say so from deep inside a graph, and on a GPU would not say it at all: there it reads zeros.
    """
    known = _vocabulary(model)
    if known is None:
        return
    if np.max(ids, initial=0) >= known or np.min(ids, initial=0) < 0:
        wrong = int(ids.max()) if ids.max() >= known else int(ids.min())
        raise ValueError(f"token ids must be in 0..{known - 1}, the words of {model.name!r}, got {wrong}.")
    of_layers = (getattr(layer, "most_positions", None) for layer in all_layers(model))
    most = min((number for number in of_layers if number is not None), default=None)
    if most is not None and longest(ids) > most:
        raise ValueError(f"a text must have up to {most} tokens, the positions of {model.name!r}, got {longest(ids)}.")


def _vocabulary(model: keras.Model) -> int | None:
    """How many words a model knows that looks its input up in a table; ``None`` for any other."""
    entry = next(iter(getattr(model, "inputs", None) or ()), None)
    for layer in model.layers:
        if any(tensor is entry for call in calls_of(layer) for tensor in call.inputs):
            if isinstance(layer, keras.layers.Embedding):
                return int(layer.input_dim)
            if isinstance(layer, keras.Model) and (known := _vocabulary(layer)) is not None:
                return known
    return None


def batches(
    split: Split, batch_size: int, *, shuffle_seed: int | None = None, model: keras.Model | None = None
) -> tf.data.Dataset:
    """Batches ``(x, y)`` of a split, in an order that depends on the seed and the length alone; reshuffled each epoch.

    For a ``model`` that reads texts of any length, ids or vectors of tokens, they are cut behind the longest of each
    batch: padding is not computed. Without one, and for a model of a fixed length, zeros at the end are examples' own.

    A memory-mapped or large split is read row by row as the batches are made; neither is copied as a whole.
    """
    n = len(split)
    indices = tf.data.Dataset.range(n)
    if shuffle_seed is not None:
        # Not Dataset.shuffle: its order also depends on TensorFlow's global seed.
        rng = np.random.default_rng(shuffle_seed)

        @as_written
        def new_order(_: Any) -> Any:
            return tf.ensure_shape(tf.numpy_function(lambda: rng.permutation(n), [], tf.int64), (n,))

        indices = tf.data.Dataset.range(1).map(new_order).unbatch().apply(tf.data.experimental.assert_cardinality(n))
    y = tf.constant(split.y)
    # Stored in half precision, computed in single: widened by NumPy, since oneDNN has no half on many processors.
    dtype = np.dtype(np.float32) if split.x.dtype == np.float16 else split.x.dtype
    cut = without_padding if reads_any_length(model) and _has_padding(split) else tf.identity
    if isinstance(split.x, np.memmap) or split.x.nbytes > _CONSTANT_BYTES:
        read = _reader(split.x, dtype)

        @as_written
        def pick(chosen: Any) -> Any:
            rows = tf.numpy_function(read, [chosen], dtype, stateful=False)
            return cut(tf.ensure_shape(rows, (None, *split.x.shape[1:]))), tf.gather(y, chosen)

    else:
        x = tf.constant(split.x.astype(dtype, copy=False))

        @as_written
        def pick(chosen: Any) -> Any:
            return cut(tf.gather(x, chosen)), tf.gather(y, chosen)

    return indices.batch(batch_size).map(pick).prefetch(2)


def lengths(ids: Array) -> Array:
    """Tokens of each text, ``(n,)``."""
    return np.asarray(np.count_nonzero(ids, axis=1))


def longest(ids: Array) -> int:
    """The length, 1 or more, behind which texts hold padding alone. In a graph :func:`without_padding` cuts there."""
    return int(np.max(np.flatnonzero(ids.any(axis=0)), initial=0)) + 1


def padded_alike(batches_of_ids: Sequence[Array]) -> list[Array]:
    """Batches of token ids, each padded to the length of the longest."""
    most = max(ids.shape[1] for ids in batches_of_ids)
    return [np.pad(ids, ((0, 0), (0, most - ids.shape[1]))) for ids in batches_of_ids]


def reads_any_length(model: Any) -> bool:
    """Whether a model's input, ids or vectors of tokens, has no length of its own: it reads texts without padding.

    What has a fixed length may read zeros at the end like all else: as a word, or as the white below a drawing.
    """
    shapes = [tensor.shape for tensor in getattr(model, "inputs", None) or ()]
    return len(shapes) == 1 and len(shapes[0]) in (2, 3) and shapes[0][1] is None


def _has_padding(split: Split) -> bool:
    """Whether these are texts, ids or vectors ``(n, length, width)``, of which some do not fill the length."""
    if not split.is_text and split.x.ndim != 3:
        return False
    last = np.array(split.x[:, -1]).reshape(len(split), -1)
    drop_pages(split.x)
    return not bool(last.any(axis=1).all())


def without_padding(x: Any) -> Any:
    """Texts up to the last position at which any of them has a token: padding is 0, as an id and as a vector."""
    used = tf.reduce_any(tf.not_equal(x, 0), axis=[0, *range(2, len(x.shape))])
    positions = tf.where(used)[:, 0]
    return x[:, : tf.maximum(tf.reduce_max(tf.concat([positions, [0]], 0)) + 1, 1)]


def _reader(x: Array, dtype: np.dtype[Any]) -> Any:
    """A function from indices to rows of an array; of a memory-mapped one it keeps few pages in memory."""
    held = 0

    def read(chosen: Array) -> Array:
        nonlocal held
        rows: Array = np.array(x[chosen], dtype=dtype)
        held += rows.nbytes
        if held > _DROP_PAGES_EVERY:
            drop_pages(x)
            held = 0
        return rows

    return read


def pool_features(split: Split) -> Array:
    """Each example as one vector ``(n, d)`` ``float32``.

    Feature maps ``(n, h, w, c)`` are averaged over their positions, as a head does, and vectors of tokens over the
    tokens, padding left out; images are flattened and scaled to 0..1, the raw-pixels baseline.

    Raises:
        ValueError: Token ids, which are numbers by name only: :func:`tlkit.probe.linear_probe` counts words.
    """
    if split.is_text:
        raise ValueError("features must be vectors or images, got token ids: run them through a trunk first.")
    if split.x.dtype == np.uint8:
        return split.x.reshape(len(split), -1).astype(np.float32) / 255
    if split.x.ndim == 2:
        return split.x.astype(np.float32)
    if split.x.ndim == 3:
        tokens = np.any(split.x != 0, axis=2).sum(axis=1)[:, None]
        return np.asarray(split.x.sum(axis=1, dtype=np.float32) / np.maximum(tokens, 1), np.float32)
    return np.asarray(split.x.mean(axis=tuple(range(1, split.x.ndim - 1)), dtype=np.float32))


def feature_pair(source: Array, target: Array) -> tuple[Array, Array]:
    """Features ``(n, d)`` of two domains as ``float64``.

    Raises:
        ValueError: They are no arrays of finite numbers ``(n, d)`` and ``(m, d)``, or one has no example.
    """
    pair = []
    for name, given in (("source", source), ("target", target)):
        if isinstance(given, Split):  # type: ignore[unreachable]
            raise ValueError(f"{name} must be an array of features (n, d), got a Split: pool_features makes one of it.")
        x = np.asarray(given, np.float64)
        if x.ndim != 2 or not x.size:
            raise ValueError(f"{name} must be features (n, d), got the shape {x.shape}.")
        if not np.isfinite(x).all():
            raise ValueError(f"{name} must be finite, got NaN or infinite features.")
        pair.append(x)
    widths = pair[0].shape[1], pair[1].shape[1]
    if widths[0] != widths[1]:
        raise ValueError(f"source and target must have the same features, got {widths[0]} and {widths[1]}.")
    return pair[0], pair[1]
