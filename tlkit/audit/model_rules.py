"""Rules that look at the model: what learns, what moves, what the loss is given, what enters the backbone."""

from __future__ import annotations

import difflib
import itertools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tlkit._keras import keras, tf
from tlkit._keras.graph import own_weights
from tlkit._keras.state import built_for
from tlkit._keras.tracing import graph_of
from tlkit.audit.case import Case, Unknown
from tlkit.audit.graph import (
    Placed,
    entering,
    has_graph,
    most_on_a_path,
    placed_layers,
    training_false_calls,
)
from tlkit.audit.moved import as_it_was
from tlkit.backbones import Backbone
from tlkit.backbones.applications import PREPROCESSING, preprocessing_of
from tlkit.domains import Array
from tlkit.features import fits_shape, split_at
from tlkit.freezing import is_batchnorm
from tlkit.words import counted, some_of

__all__ = ["MODEL_RULES", "Rule"]


@dataclass(frozen=True)
class Rule:
    """One trap: how to see it, and how to get out.

    Args:
        fix: One line that mends it, in tlkit's own words.
        look: Gives the evidence, or ``None`` when all is well; raises :class:`tlkit.audit.case.Unknown` when it cannot
            tell.
        plain_fix: The same without what only a :class:`tlkit.backbones.Backbone` can be given to, where ``fix`` has it.
    """

    name: str
    severity: str
    fix: str
    notebook: str
    look: Callable[[Case], str | None]
    plain_fix: str = ""

    def fix_for(self, backbone: Backbone | keras.Model | None) -> str:
        """The line for a tlkit backbone, or for a plain Keras model."""
        return self.fix if isinstance(backbone, Backbone) or not self.plain_fix else self.plain_fix


def _weighted(case: Case) -> list[Placed]:
    return [placed for placed in placed_layers(case.model) if own_weights(placed.layer)]


# What moves ---------------------------------------------------------------------------------------------------------


def _weights_move_while_frozen(case: Case) -> str | None:
    try:
        rows = case.step
    except Unknown:
        if case.intended_stage is None:
            raise
        return _will_learn_though_frozen(case)
    moved = rows[(rows["meant"] == "frozen") & rows["weights_moved"]]
    if moved.empty:
        return None
    largest = moved["max_abs_change"].max()
    return (
        f"one step moved {counted(len(moved), 'layer')} meant to be frozen by up to {largest:.2g}: "
        f"{some_of(list(moved.index))}{_renewed_by_themselves(case, moved)}"
    )


def _renewed_by_themselves(case: Case, moved: pd.DataFrame) -> str:
    """What to add where a layer that moved is frozen, and renews its own state in each call: a flag mends nothing."""
    layers = [placed for placed in placed_layers(case.model) if placed.path in moved.index]
    names = [
        placed.path
        for placed in layers
        if not placed.layer.trainable
        and (
            isinstance(placed.layer, keras.layers.SpectralNormalization)
            or not (is_batchnorm(placed.layer) or moved["weights_moved"][placed.path])
        )
    ]
    if not names:
        return ""
    return (
        f"; whatever a flag says, each training step renews the own state of {some_of(names)} (freeze_to holds "
        "SpectralNormalization, and no other)"
    )


def _will_learn_though_frozen(case: Case) -> str | None:
    """What the flags say, where no step can be taken."""
    wrong = [
        placed.path for placed in _weighted(case) if case.learns(placed.layer) and not case.meant.learns(placed.layer)
    ]
    if not wrong:
        return None
    return f"{counted(len(wrong), 'layer')} meant to be frozen will learn: {some_of(wrong)}"


def _batchnorm_moves_while_frozen(case: Case) -> str | None:
    rows = case.step
    still = [placed.path for placed in _weighted(case) if not case.learns(placed.layer)]
    meant = (rows["meant"] == "frozen") | rows.index.isin(still)
    drifting = rows[rows["statistics_moved"] & ~rows["weights_moved"] & meant]
    if drifting.empty:
        return None
    return (
        f"one step moved the statistics of {counted(len(drifting), 'layer')} whose weights are frozen, by up to "
        f"{drifting['max_abs_change'].max():.2g}: {some_of(list(drifting.index))}"
        f"{_renewed_by_themselves(case, drifting)}"
    )


def _batchnorm_moves_after_unfreezing(case: Case) -> str | None:
    if case.train_batchnorm:
        return None
    layers = placed_layers(case.model)
    if case.stages:
        pretrained, where = [placed for placed in layers if id(placed.layer) in case.stages], "of the backbone"
    else:
        pretrained = _frozen_but_for_batchnorm(case, layers)
        held = sum(bool(own_weights(p.layer)) and not is_batchnorm(p.layer) for p in pretrained)
        where = f"beside {counted(held, 'frozen layer')}"
    batchnorm = [placed for placed in pretrained if is_batchnorm(placed.layer)]
    # Of a backbone that was named, the flag is enough: its statistics move whatever its weights do.
    learning = [p.path for p in batchnorm if (p.layer.trainable if case.stages else case.learns(p.layer))]
    if not learning:
        if not case.stages and any(is_batchnorm(placed.layer) and case.learns(placed.layer) for placed in layers):
            raise Unknown("no backbone given, so what was pretrained is not known")
        return None
    moved = ""
    try:
        rows = case.step.loc[learning]
        if not rows["statistics_moved"].any():
            return None
        moved = f"; one step moved their statistics by up to {rows['max_abs_change'].max():.2g}"
    except Unknown:
        pass
    of_them = f"{len(learning)} of {counted(len(batchnorm), 'BatchNorm layer')} {where}"
    return f"{of_them} will learn: {some_of(learning)}{moved}"


def _frozen_but_for_batchnorm(case: Case, layers: list[Placed]) -> list[Placed]:
    """What must be pretrained, though no backbone names it: layers that are frozen, BatchNorm left out, and BatchNorm.

    That is a nested model; and, where the order is that of one graph, what stands between the first frozen layer and
    the last before one that learns. BatchNorm before and after those may be the input's or the head's.
    """
    own = [i for i, p in enumerate(layers) if own_weights(p.layer) and not is_batchnorm(p.layer)]
    still = {i for i in own if not case.learns(layers[i].layer)}
    found: set[int] = set()
    for placed in layers:
        if isinstance(placed.layer, keras.Model):
            inside = {i for i, inner in enumerate(layers) if inner.path.startswith(f"{placed.path}/")}
            if inside & still and inside & set(own) <= still:
                found |= inside
    first = list(itertools.takewhile(still.__contains__, own))
    if first and has_graph(case.model) and len(case.model.inputs) == 1:
        found |= set(range(first[0], first[-1] + 1))
    return [layers[i] for i in sorted(found)]


def _training_false_relied_on(case: Case) -> str | None:
    case.needs_graph()
    found = []
    for call in training_false_calls(case.model):
        inner = [Placed("", call.layer), *placed_layers(call.layer)]
        # What never learns or has no statistics is held anyway.
        count = sum(is_batchnorm(placed.layer) and placed.layer.trainable for placed in inner)
        if count:
            found.append((call, count, [placed.layer for placed in inner]))
    if not found:
        return None
    call, count, layers = found[0]
    some = f"{counted(count, 'BatchNorm layer')} in it"
    text = f"{call.path!r} is called with training=False, yet trainable=True is set on {some}"
    try:
        rows = case.step
    except Unknown:
        return text
    inside = {id(layer) for layer in layers}
    paths = [placed.path for placed in placed_layers(case.model) if id(placed.layer) in inside]
    moved = rows.loc[rows.index.intersection(paths)]
    if not moved["statistics_moved"].any():
        return None  # it does hold here: a Keras that behaves otherwise
    return f"{text}; one step moved their statistics by up to {moved['max_abs_change'].max():.2g}"


# What is meant to learn ---------------------------------------------------------------------------------------------


def _optimizer_variables(case: Case) -> list[Any]:
    if not case.model.compiled or case.model.optimizer is None:
        raise Unknown("model not compiled")
    optimizer = getattr(case.model.optimizer, "inner_optimizer", case.model.optimizer)
    return built_for(optimizer)


def _trainable_changed_after_compile(case: Case) -> str | None:
    held, own = {id(v) for v in _optimizer_variables(case)}, {id(v) for v in case.model.variables}
    learning = case.learning
    if not held or not held & own or held == learning or not held <= own or case.model.train_function is None:
        return None
    moving, still = len(held - learning), len(learning - held)
    return (
        f"compile and a first fit fixed {counted(len(held), 'variable')} to train, the flags now say {len(learning)}: "
        f"{moving} {'goes' if moving == 1 else 'go'} on moving, {still} {'stays' if still == 1 else 'stay'} still"
    )


def _optimizer_of_other_variables(case: Case) -> str | None:
    held = _optimizer_variables(case)
    own = {id(variable) for variable in case.model.variables}
    foreign = [variable.path for variable in held if id(variable) not in own]
    if not foreign:
        return None
    of_them = f"{len(foreign)} of {counted(len(held), 'variable')} of the optimizer"
    return f"{of_them} {'is' if len(foreign) == 1 else 'are'} not in the model: {some_of(foreign)}"


def _unfreeze_without_effect(case: Case) -> str | None:
    if not case.stages:
        raise Unknown("no backbone given")
    inside = [placed for placed in _weighted(case) if id(placed.layer) in case.stages]
    if case.intended_stage is None:
        raise Unknown("no intended_stage given")  # frozen one by one is also what feature extraction looks like
    candidates = [placed for placed in inside if case.meant.learns(placed.layer)]
    still = [placed.path for placed in candidates if not case.learns(placed.layer)]
    if not still:
        return None
    return (
        f"{len(still)} of {counted(len(candidates), 'layer')} after stage {case.intended_stage} meant to learn will "
        f"not: {some_of(still)}"
    )


def _head_frozen(case: Case) -> str | None:
    layers = _weighted(case)
    if not layers:
        raise Unknown("the model has no weights to learn")
    if not case.stages:
        case.needs_graph()  # the order in which attributes were set is not the order of the layers
    head = [placed for placed in layers if case.stages and id(placed.layer) not in case.stages]
    last = head or layers[-1:]
    if case.stages and not head:
        raise Unknown("the model has no layers with weights after its backbone")
    if any(case.learns(placed.layer) for placed in last):
        return None
    total = sum(int(np.prod(variable.shape)) for placed in last for variable in own_weights(placed.layer))
    return f"none of the {total:,} weights of {some_of([placed.path for placed in last])} will learn"


_SPELLINGS = ("trainable",)
_FOREIGN = {"training", "freeze", "frozen", "requires_grad", "is_trainable", "train", "learnable"}


def _misspelt_attribute(case: Case) -> str | None:
    found = []
    for placed in [Placed(case.model.name, case.model), *placed_layers(case.model)]:
        keras_own = type(placed.layer).__module__.startswith("keras.")
        for name, value in vars(placed.layer).items():
            if name.startswith("_") or not isinstance(value, (bool, np.bool_)) or hasattr(type(placed.layer), name):
                continue
            if difflib.get_close_matches(name, _SPELLINGS, cutoff=0.8) or (keras_own and name in _FOREIGN):
                found.append(f"{placed.path}.{name} = {value}")
    if not found:
        return None
    verb = "was" if len(found) == 1 else "were"
    return f"{counted(len(found), 'attribute')} {verb} set that Keras does not know: {some_of(found)}"


# Loss and labels ----------------------------------------------------------------------------------------------------


def _softmax_twice(case: Case) -> str | None:
    chain = [(activation, layer) for activation, layer, _ in case.last_activations]
    softmaxes = [layer for activation, layer in chain if activation == "softmax"]
    if len(softmaxes) > 1:
        return f"{len(softmaxes)} softmaxes follow each other at the output: {', '.join(reversed(softmaxes))}"
    return None


def _probabilities_read_as_logits(case: Case) -> str | None:
    name, from_logits = case.loss
    kind, seen = case.gives
    if "crossentropy" not in name or not from_logits or kind not in ("softmax", "sigmoid"):
        return None
    text = f"{name} has from_logits=True, yet {seen}"
    where = _logits_found_again(case, sparse=name.startswith("sparse"))
    if not where:
        return f"{text}: it is applied twice"
    return f"{text}; {where}, Keras finds the logits again; of the arrays that predict gives, it is applied twice"


def _logits_found_again(case: Case, *, sparse: bool) -> str:
    """Where the loss reads the logits from the output of a training step; Keras warns when it does."""
    part = next(iter(case.data), None)
    if part is not None:
        x = case.examples(part).some(2)
    else:
        case.needs_graph()
        x = np.zeros([size or 1 for size in case.model.inputs[0].shape], case.model.inputs[0].dtype)
    loss = case.model.loss
    loss = next(iter(loss.values())) if isinstance(loss, dict) else loss[0] if isinstance(loss, (list, tuple)) else loss

    def step(batch: Any) -> Any:
        # In training mode: a Dropout after the softmax loses the logits there, and passes them on in inference.
        outputs = case.model(batch, training=True)
        return loss(tf.zeros(tf.shape(outputs)[:-1] if sparse else tf.shape(outputs)), outputs)

    def warns(run: Any) -> bool:
        with as_it_was(case.model), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run(tf.constant(x))
        return any("from_logits" in str(warning.message) for warning in caught)

    try:
        # In a graph, as in fit, Keras also looks for the operation that gave the output.
        in_fit, in_a_loop = warns(graph_of(step)), warns(step)
    except Exception:  # what the text adds must not cost the finding
        return ""
    return "in fit and in a loop of your own" if in_fit and in_a_loop else "in fit" if in_fit else ""


def _logits_read_as_probabilities(case: Case) -> str | None:
    name, from_logits = case.loss
    kind, seen = case.gives
    if "crossentropy" not in name or from_logits or kind in ("softmax", "sigmoid"):
        return None
    return f"{name} has from_logits=False, yet {seen}"


def _label_shape(case: Case) -> str | None:
    name, _ = case.loss
    y = case.examples("train").y
    one_hot = y.ndim == 2 and y.shape[1] > 1
    if name == "sparse_categorical_crossentropy" and one_hot:
        return f"{name} wants class indices of shape (n,), got labels of shape {y.shape}"
    if name in ("categorical_crossentropy", "categorical_focal_crossentropy") and not one_hot and case.width > 1:
        return f"{name} wants one-hot labels of shape (n, {case.width}), got labels of shape {y.shape}"
    return None


def _class_count(case: Case) -> str | None:
    y, width = case.examples("train").y, case.width
    if case.model.compiled and "crossentropy" not in case.loss[0]:
        return None  # a regression has no classes to count
    outputs = counted(width, "output")
    if y.ndim == 2 and y.shape[1] > 1:
        return None if y.shape[1] == width else f"the head has {outputs}, one-hot labels have {y.shape[1]} classes"
    if y.dtype.kind not in "iub" and not np.array_equal(y, np.round(y)):
        raise Unknown("labels are not class indices")
    low, high = int(y.min()), int(y.max())
    allowed = max(width, 2)  # one sigmoid output tells two classes apart
    if low < 0 or high >= allowed:
        return f"the head has {outputs}, for labels in 0..{allowed - 1}; labels run from {low} to {high}"
    if high + 1 <= width // 2:
        return f"the head has {outputs}, but no label above {high} occurs among {len(y):,}"
    return None


# What enters the backbone -------------------------------------------------------------------------------------------


def _small_rescalings(operations: list[Any]) -> list[Any]:
    """Layers that divide pixels: Rescaling by a hundredth or less."""
    layers = [operation for operation in operations if isinstance(operation, keras.layers.Rescaling)]
    return [layer for layer in layers if np.max(np.abs(np.asarray(layer.scale, np.float64))) <= 1 / 100]


def _graph_rescalings(case: Case) -> list[Placed]:
    return [placed for placed in placed_layers(case.model) if _small_rescalings([placed.layer])]


def _rescaled_twice(case: Case) -> str | None:
    case.needs_graph()
    found = _graph_rescalings(case)
    if most_on_a_path(case.model, lambda operation: bool(_small_rescalings([operation]))) < 2:
        return None
    scales = " · ".join(f"{float(np.max(placed.layer.scale)):.4g}" for placed in found)
    return f"{len(found)} layers divide the pixels ({some_of([p.path for p in found])}): {scales}"


def _already_scaled(case: Case) -> str | None:
    raw, values, passed = case.entering
    wants_pixels = bool(_small_rescalings(passed)) or (
        isinstance(case.backbone, Backbone) and case.model.inputs[0] is case.backbone.model.input
    )
    if not wants_pixels or raw.ndim != 4 or np.abs(raw).max() > 2:
        return None
    return (
        f"the model takes pixels in 0..255, the data run from {raw.min():.3g} to {raw.max():.3g}: what enters the "
        f"first layer with weights lies in {values.min():.3g}..{values.max():.3g}"
    )


def _input_statistics(case: Case) -> str | None:
    case.needs_graph()
    raw, values, _ = case.entering
    base = case.backbone.model if isinstance(case.backbone, Backbone) else case.backbone
    given = [] if base is None else [base]
    networks = [case.model, *given, *(p.layer for p in placed_layers(case.model) if isinstance(p.layer, keras.Model))]
    named = next(((network, mode) for network in networks if (mode := preprocessing_of(network.name))), None)
    if named is None:
        raise Unknown("no network of keras.applications found by its name")
    network, mode = named
    if mode == "raw":  # these rescale inside: what counts is what enters the network
        values = _before(case, network, raw)
    if values.ndim != 4:
        raise Unknown("the input is not images")
    low, high = float(values.min()), float(values.max())
    wrong = {
        "caffe": low >= 0 or high - low < 30,
        "tf": high > 1.5 or low >= 0,
        "torch": high > 10 or low >= 0,
        "raw": high <= 2 or low < 0,
    }[mode]
    if not wrong:
        return None
    means = ", ".join(f"{mean:.3g}" for mean in values.mean(axis=(0, 1, 2)))
    wanted = PREPROCESSING[mode].wanted
    return f"{network.name} was trained on {wanted}; here {low:.3g}..{high:.3g} enters, channel means {means}"


def _before(case: Case, network: keras.Model, raw: Array) -> Array:
    """What enters the network; of one whose layers stand in the model's own graph, what enters its first Rescaling."""
    tensor = entering(case.model, lambda operation: operation is network)
    if tensor is None:
        tensor = entering(case.model, lambda operation: isinstance(operation, keras.layers.Rescaling))
    if tensor is None:
        return raw
    before = keras.Model(case.model.inputs[0], tensor, name="before_network")
    return np.asarray(before(tf.constant(raw), training=False), np.float64)


# Statistics and features --------------------------------------------------------------------------------------------


def _steps_taken(case: Case) -> int:
    if case.model.compiled and case.model.optimizer is not None and int(case.model.optimizer.iterations):
        return int(case.model.optimizer.iterations)
    if case.history is not None and "train" in case.data:
        epochs = int(case.history["epoch"].nunique())
        return epochs * -(-len(case.examples("train").x) // case.batch_size)
    raise Unknown("the number of steps taken is not known (no fit since compile, no history)")


# How far a layer's outputs may be off, in deviations. Measured: with its pretrained statistics the layers of
# resnet_printed are off by 0.31 or less for all four bundled domains; with those it starts from, by 0.41 to 0.74.
FAR = 0.4


def _momentum_too_slow(case: Case) -> str | None:
    steps = _steps_taken(case)
    slow = [
        placed
        for placed in placed_layers(case.model)
        if is_batchnorm(placed.layer)
        and placed.layer.trainable
        and id(placed.layer) not in case.stages  # a backbone's statistics are another rule's
        and placed.layer.momentum**steps > 0.05
    ]
    if not slow:
        return None
    momentum = max(placed.layer.momentum for placed in slow)
    kept = (
        f"after {counted(steps, 'step')} at momentum {momentum}, {momentum**steps:.0%} of what the statistics were is"
    )
    if "train" not in case.data:
        # A variance that began at 1 cannot have come below what is left of it: these were not trained before.
        begun = [p for p in slow if np.all(p.layer.moving_variance.numpy() >= 0.999 * p.layer.momentum**steps)]
        layers = f"in {counted(len(begun), 'BatchNorm layer')} that can be the start (mean 0, variance 1)"
        return f"{kept} still in them; {layers}: {some_of([placed.path for placed in begun])}" if begun else None
    off = _off_in_inference(case, [placed.layer for placed in slow])
    far = [(distance, placed) for distance, placed in zip(off, slow, strict=True) if distance > FAR]
    if not far:
        return None  # pretrained, say, on data such as these
    largest, layers = max(distance for distance, _ in far), counted(len(far), "BatchNorm layer")
    return (
        f"{kept} still in them; in {layers} they are far from the training data's own, and in inference put outputs "
        f"off by up to {largest:.2g} deviations: {some_of([placed.path for _, placed in far])}"
    )


def _off_in_inference(case: Case, layers: list[Any]) -> list[float]:
    """How far each BatchNorm layer's outputs are off in inference, for training data, in deviations.

    What it gives with its moving statistics, against what it gives while training, with those of the batch: the root
    mean square over examples, the mean over channels.
    """
    x = case.examples("train").some(256)
    kept, momenta = [_statistics(layer) for layer in layers], [layer.momentum for layer in layers]
    with as_it_was(case.model):
        try:
            for layer in layers:
                layer.momentum = 0.0  # after one batch the statistics are that batch's own
            case.model(tf.constant(x), training=True)
        except Exception as error:
            raise Unknown("the model cannot be called on the data") from error
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum
        own = [_statistics(layer) for layer in layers]
    distances = []
    for (mean, deviation), (own_mean, own_deviation) in zip(kept, own, strict=True):
        # (x - mean) / deviation, where (x - own_mean) / own_deviation has mean 0 and variance 1
        squares = ((own_mean - mean) / deviation) ** 2 + (own_deviation / deviation - 1) ** 2
        distances.append(float(np.mean(np.sqrt(squares))))
    return distances


def _statistics(layer: Any) -> tuple[Array, Array]:
    """Moving mean and deviation, as BatchNorm uses them, ``(channels,)`` each."""
    variance = np.asarray(layer.moving_variance.numpy(), np.float64)
    return np.asarray(layer.moving_mean.numpy(), np.float64), np.sqrt(variance + layer.epsilon)


def _cache_stale(case: Case) -> str | None:
    if case.features is None:
        raise Unknown("no features given")
    if case.backbone is None or case.intended_stage is None or not isinstance(case.backbone, Backbone):
        raise Unknown("features need the backbone and the intended_stage they were cached at")
    trunk, _ = split_at(case.backbone, case.intended_stage)
    examples = case.examples("train")
    images, noun = examples.x, examples.noun
    if len(case.features) % len(images):
        return f"{len(case.features):,} features cannot be views of {len(images):,} training {noun}s"
    given = case.features.x.shape[1:]
    if not fits_shape(trunk.output_shape[1:], given):
        return f"features have shape {given}, the trunk gives {trunk.output_shape[1:]}"
    chosen = np.unique(np.linspace(0, len(images) - 1, min(8, len(images))).astype(int))
    fresh = np.asarray(trunk(tf.constant(images[chosen]), training=False), np.float64)
    kept = np.asarray(case.features.x[chosen], np.float64)
    if len(case.features) > len(images):
        raise Unknown("features of augmented views cannot be computed again")
    largest, scale = float(np.abs(fresh - kept).max()), float(np.abs(fresh).max()) or 1.0
    tolerance = 1e-2 if case.features.x.dtype == np.float16 else 1e-3
    if largest <= tolerance * scale:
        return None
    return (
        f"of {len(chosen)} {noun}s computed again, features differ by up to {largest:.3g} (largest value {scale:.3g})"
    )


FREEZING, FINE_TUNING, EVALUATION, DOMAINS = "04_freezing", "05_fine_tuning", "07_evaluation", "02_domains"
GRADIENT, BASE_AND_HEAD, MUSEUM = "01_cross_entropy_gradient", "03_base_and_head", "13_trap_museum"

MODEL_RULES = (
    Rule(
        "weights-move-while-frozen", "error",
        "freeze_to(backbone, stage), then compile again (tlkit.fit always does), then audit_fit.", FREEZING,
        _weights_move_while_frozen,
        "set layer.trainable = False on each layer meant to be frozen, then compile again, then audit_fit.",
    ),
    Rule(
        "batchnorm-moves-while-frozen", "error",
        "set trainable = False on the BatchNorm layers themselves (freeze_to does), then compile.", FREEZING,
        _batchnorm_moves_while_frozen,
        "set layer.trainable = False on each BatchNorm layer itself, then compile again.",
    ),
    Rule(
        "batchnorm-moves-after-unfreezing", "warning",
        "freeze_to(backbone, stage) holds BatchNorm in the stages that learn; or say train_batchnorm=True.", FREEZING,
        _batchnorm_moves_after_unfreezing,
        "set layer.trainable = False on each BatchNorm layer, then compile again; or say train_batchnorm=True.",
    ),
    Rule(
        "training-false-relied-on", "error",
        "do not rely on training=False: set trainable = False on each BatchNorm layer, then compile.", FREEZING,
        _training_false_relied_on,
    ),
    Rule(
        "trainable-changed-after-compile", "error",
        "call compile again after changing trainable: fit goes on with what it traced.", FREEZING,
        _trainable_changed_after_compile,
    ),
    Rule(
        "unfreeze-without-effect", "error",
        "set trainable = True on each layer (freeze_to does): a model's own flag does not reach layers frozen one by "
        "one.", FREEZING, _unfreeze_without_effect,
        "set layer.trainable = True on each layer, then compile again: a model's own flag does not reach layers frozen "
        "one by one.",
    ),
    Rule(
        "head-frozen", "error", "set trainable = True on the head's layers, then compile: a new head must learn.",
        BASE_AND_HEAD, _head_frozen,
    ),
    Rule(
        "misspelt-attribute", "error", "write layer.trainable = False; Python accepts any other name without a word.",
        FREEZING, _misspelt_attribute,
    ),
    Rule(
        "optimizer-of-other-variables", "error", "give compile a new optimizer for each model.", MUSEUM,
        _optimizer_of_other_variables,
    ),
    Rule(
        "softmax-twice", "error", "keep one softmax, or none and from_logits=True.", GRADIENT, _softmax_twice,
    ),
    Rule(
        "probabilities-read-as-logits", "error", "end in logits (no activation), or set from_logits=False.", GRADIENT,
        _probabilities_read_as_logits,
    ),
    Rule(
        "logits-read-as-probabilities", "error", "set from_logits=True, or end in a softmax.", GRADIENT,
        _logits_read_as_probabilities,
    ),
    Rule(
        "label-shape", "error",
        "class indices go with sparse_categorical_crossentropy, one-hot labels with categorical_crossentropy.",
        GRADIENT, _label_shape,
    ),
    Rule(
        "class-count", "error", "build the head with as many outputs as there are classes; labels start at 0.",
        BASE_AND_HEAD, _class_count,
    ),
    Rule(
        "rescaled-twice", "error", "keep one Rescaling: either in the backbone or before it.", DOMAINS, _rescaled_twice,
    ),
    Rule(
        "already-scaled", "error", "give raw pixels in 0..255: the model divides them itself.", DOMAINS,
        _already_scaled,
    ),
    Rule(
        "input-statistics", "error", "put the network's own preprocess_input inside the model, once.", DOMAINS,
        _input_statistics,
    ),
    Rule(
        "batchnorm-momentum-too-slow", "warning",
        "set momentum=0.9 in BatchNormalization, or train for more steps.", FREEZING, _momentum_too_slow,
    ),
    Rule(
        "cache-stale", "error", "call cache_features again after the trunk's weights changed.", FREEZING, _cache_stale,
    ),
)  # fmt: skip
