"""Which weights a training step moves, against which were meant to move."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from tlkit._keras import keras, tf
from tlkit._keras.graph import all_layers, own_statistics, own_weights
from tlkit._keras.state import name_scopes_kept, random_states_kept, without_traces_of_fit
from tlkit._steps import descend
from tlkit.audit.graph import Placed, placed_layers
from tlkit.backbones import Backbone, stage_layers
from tlkit.backbones.graph import check_model as check_built
from tlkit.domains import Array, Split, check_count
from tlkit.features import check_labels, check_tokens
from tlkit.freezing import held_layers, is_batchnorm
from tlkit.words import reason

__all__ = ["AuditCallback", "Data", "Meant", "audit_fit", "watch"]

Data: TypeAlias = "Split | tuple[Array, Array] | tf.data.Dataset"
"""What a model can be trained on: a split, arrays ``(x, y)``, or a ``tf.data`` set of batches ``(x, y)``."""

# The largest batch that is tried to find the signature of an earlier fit.
_MOST_IN_A_STEP = 256

AS_MEANT = ("learns, as meant", "still, as meant")


def audit_fit(
    model: keras.Model,
    train: Data,
    *,
    backbone: Backbone | keras.Model | None = None,
    intended_stage: int | None = None,
    train_batchnorm: bool = False,
    steps: int = 1,
    batch_size: int = 16,
) -> pd.DataFrame:
    """Take real training steps, compare every weight before and after, and put everything back.

    The steps are those that ``fit`` would take: the model's own ``train_step`` with its loss and optimizer and, when it
    has been fitted since it was compiled, the very function that Keras traced then, so that flags changed since have
    the effect that they will have (none). Weights, statistics, optimizer, metrics and random states are afterwards what
    they were, bit for bit. A model that is not compiled takes the steps that :func:`tlkit.training.fit` would take, at
    a learning rate of 1e-3.

    Args:
        model: Built, with one output. Layers of nested models are listed one by one.
        train: A split, arrays ``(x, y)``, or a ``tf.data`` set of batches. Of arrays, ``steps * batch_size`` examples
            spread evenly over the whole are used; a shuffled ``tf.data`` set is read, and so draws its next order.
        backbone: Whose stages the table names. A plain Keras model or layer counts as a backbone of one stage.
        intended_stage: What was meant: stages 1 to this one frozen, everything after them learning, and BatchNorm still
            everywhere in the backbone; where layers were added (:mod:`tlkit.efficient`), these alone learning. Without
            it, what the layers' own flags say is what was meant.
        train_batchnorm: BatchNorm was meant to learn in the stages that learn.
        steps: Training steps, 1 or more. More than one for a learning rate that starts at 0.
        batch_size: Examples per step, for arrays and splits.

    Returns:
        One row per layer that has weights, from input to output: ``layer`` (with the names of the models around it),
        ``kind``, ``stage`` (1..n, ``"head"`` for what is not in the backbone, ``""`` without one), ``meant``
        (``"learn"`` or ``"frozen"``), ``trainable`` (the layer's flag), ``weights`` and ``statistics`` (how many
        numbers), ``weights_moved``, ``statistics_moved``, ``max_abs_change`` (of either), ``verdict``.
        ``attrs``: ``steps``, ``loss`` (of the last step), ``learning_rate``, ``meant_by``.

    Raises:
        ValueError: The model is not built, is empty or has several outputs, there is no data, a label has no logit,
            a step cannot be taken, or ``intended_stage`` is given without a backbone or out of range.
    """
    check_model(model)
    if not any(own_weights(placed.layer) for placed in placed_layers(model)):
        raise ValueError(f"model must have weights to learn, got {model.name!r}, which has none.")
    check_count("steps", steps)
    check_count("batch_size", batch_size)
    meant = Meant(model, backbone, intended_stage, train_batchnorm)
    with as_it_was(model) as before:
        loss, learning_rate = _take_steps(model, train, steps, batch_size)
        table = _compare(model, before, meant)
    table.attrs.update(steps=steps, loss=loss, learning_rate=learning_rate)
    return table


def watch(
    *, backbone: Backbone | keras.Model | None = None, intended_stage: int | None = None, train_batchnorm: bool = False
) -> AuditCallback:
    """A Keras callback that audits a real training: give it to ``fit`` and read ``.table`` afterwards.

    It keeps a copy of the weights as they are when the training begins. Arguments as for :func:`audit_fit`.

    Raises:
        ValueError: ``intended_stage`` is given without a backbone or out of range.
    """
    return AuditCallback(backbone, intended_stage, train_batchnorm)


class AuditCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """What :func:`watch` returns."""

    def __init__(
        self, backbone: Backbone | keras.Model | None, intended_stage: int | None, train_batchnorm: bool
    ) -> None:
        super().__init__()
        if intended_stage is not None:
            check_intention(backbone, intended_stage)
        self._intention = (backbone, intended_stage, train_batchnorm)
        self._before: dict[int, Array] | None = None
        self._table: pd.DataFrame | None = None

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Keep the weights as they are before the first step."""
        self._meant = Meant(self.model, *self._intention)
        self._before, self._table = _values(self.model), None

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Compare, once and for all."""
        self._table = self.table

    @property
    def table(self) -> pd.DataFrame:
        """The table of :func:`audit_fit`, for the training so far; the last word once it has ended.

        Raises:
            ValueError: No training has begun.
        """
        if self._before is None:
            raise ValueError("the callback must be given to fit before its table is read, got no training yet.")
        if self._table is not None:
            return self._table.copy()
        return _compare(self.model, self._before, self._meant)


def check_intention(backbone: Backbone | keras.Model | None, intended_stage: int) -> None:
    """Raise ``ValueError`` unless ``intended_stage`` can be understood."""
    if backbone is None:
        raise ValueError(f"intended_stage needs the backbone whose stage it is, got {intended_stage!r} without one.")
    if isinstance(backbone, Backbone):
        backbone.check_stage(intended_stage)
    elif intended_stage not in (0, 1):
        raise ValueError(
            f"intended_stage must be 0 (all of it learns) or 1 (all of it is frozen) for a backbone without stages, "
            f"got {intended_stage!r}."
        )


class Meant:
    """What was meant for each layer, and the stage it belongs to."""

    def __init__(
        self,
        model: keras.Model,
        backbone: Backbone | keras.Model | None,
        intended_stage: int | None,
        train_batchnorm: bool,
    ) -> None:
        if intended_stage is not None:
            check_intention(backbone, intended_stage)
        self.stages = stage_by_layer(backbone, model)
        self.by = "the layers' flags" if intended_stage is None else f"intended_stage={intended_stage}"
        self._intended, self._train_batchnorm = intended_stage, train_batchnorm
        self._held = held_layers(backbone) if isinstance(backbone, Backbone) else set()
        self._learning = {id(variable) for variable in model.trainable_variables}

    def stage(self, layer: keras.layers.Layer) -> int | str:
        """The stage, ``"head"`` for what is not in the backbone, ``""`` without one."""
        return self.stages.get(id(layer), "head") if self.stages else ""

    def learns(self, layer: keras.layers.Layer) -> bool:
        """Whether it was meant to learn."""
        if self._intended is None:
            return bool(layer.trainable)
        stage = self.stages.get(id(layer))
        if stage is None:
            return True  # the head
        held = is_batchnorm(layer) and not self._train_batchnorm
        return stage > self._intended and not held and id(layer) not in self._held


def stage_by_layer(backbone: Backbone | keras.Model | None, model: keras.Model) -> dict[int, int]:
    """The stage of each layer of the backbone, by the layer's identity; nothing without a backbone.

    Raises:
        ValueError: The backbone is none, or no layer of it is in the model.
    """
    if backbone is None:
        return {}
    if not isinstance(backbone, (Backbone, keras.layers.Layer)):
        raise ValueError(f"backbone must be a Backbone or a Keras model, got {type(backbone).__name__}.")
    parts = stage_layers(backbone) if isinstance(backbone, Backbone) else {1: all_layers(backbone)}
    stages = {id(layer): stage for stage, layers in parts.items() for layer in layers}
    if not any(id(placed.layer) in stages for placed in placed_layers(model)):
        raise ValueError(f"backbone must be part of the model, got {backbone.name!r}, no layer of which is in it.")
    return stages


def check_model(model: keras.Model) -> None:
    """Raise ``ValueError`` unless this is a model that is built and has one output."""
    check_built(model)
    if len(getattr(model, "outputs", None) or [0]) != 1:
        raise ValueError(f"model must have one output, got {len(model.outputs)}: {', '.join(model.output_names)}.")


def _values(model: keras.Model) -> dict[int, Array]:
    """A copy of each weight and statistic, by the variable's identity."""
    layers = [placed.layer for placed in placed_layers(model)]
    variables = [variable for layer in layers for variable in (*own_weights(layer), *own_statistics(layer))]
    return {id(variable): variable.numpy().copy() for variable in variables}


def _take_steps(model: keras.Model, train: Data, steps: int, batch_size: int) -> tuple[float, float]:
    """Loss and learning rate of the last step."""
    batches = first_batches(train, steps, batch_size)
    for batch in batches:
        if isinstance(batch[0], tf.Tensor):
            check_tokens(model, batch[0].numpy())
        numbers = isinstance(batch[1], tf.Tensor) and (batch[1].dtype.is_integer or batch[1].dtype.is_floating)
        if numbers and _takes_class_indices(model):
            check_labels(model, batch[1].numpy())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Keras warns of here is what the audit is about to say
            return _steps(model, train, batches)
    except Exception as error:  # Keras and TensorFlow raise many types, over many lines
        raise ValueError(f"a training step must be possible, got {reason(error)}") from error


def _takes_class_indices(model: keras.Model) -> bool:
    """Whether the loss reads each label as the index of a logit; one may have an index that it passes over."""
    if not getattr(model, "outputs", None):
        return False
    if not model.compiled:
        return True
    loss = keras.losses.get(model.loss) if isinstance(model.loss, str) else model.loss
    if isinstance(loss, keras.losses.SparseCategoricalCrossentropy):
        return loss.get_config().get("ignore_class") is None and loss.get_config().get("axis", -1) == -1
    return loss is keras.losses.sparse_categorical_crossentropy


def _steps(model: keras.Model, train: Data, batches: list[tuple[Any, ...]]) -> tuple[float, float]:
    if not model.compiled:
        return _steps_like_tlkit(model, batches)
    rate = float(model.optimizer.learning_rate)
    if model.train_function is not None:
        return _steps_as_traced(model, train, batches), rate
    for batch in batches:
        logs = model.train_step(batch)
    return float(logs["loss"]), rate


def _steps_as_traced(model: keras.Model, train: Data, batches: list[tuple[Any, ...]]) -> float:
    """Steps by the function that an earlier ``fit`` traced, so that flags changed since do what they will do: nothing.

    Data of another signature would make TensorFlow trace anew, and with the new flags. The signature cannot be asked
    for, so each that a fit may have had is tried, and a trace that begins is broken off.
    """
    if isinstance(train, tf.data.Dataset):
        forms: list[tuple[Any, int | None]] = [(train.take(len(batches)), None)]
    else:
        x, y = arrays(train)
        x_step, y_step = (np.concatenate([np.asarray(batch[i]) for batch in batches]) for i in range(2))
        n, size = len(y_step), len(batches[0][0])
        of_tlkit = tf.data.Dataset.from_tensor_slices((x_step, y_step)).batch(size)
        # Keras' signature has the batch size when it divides the number of examples, and leaves it open when not.
        forms = [((x_step, y_step), n // 2 + 1), (of_tlkit, None)][:: -1 if isinstance(train, Split) else 1]
        for fixed in (size, 32, 64, 128, 16, 8, 4, len(y)):
            if fixed <= min(len(y), _MOST_IN_A_STEP):
                chosen = np.unique(np.linspace(0, len(y) - 1, fixed).astype(int))
                forms.append(((x[chosen], y[chosen]), fixed))
    for form, size_of_form in forms:
        loss = _fit_unless_traced_anew(model, form, size_of_form)
        if loss is not None:
            return loss
    return _fit(model, *forms[0])  # a fit on this data would trace anew, too


def _fit(model: keras.Model, form: Any, batch_size: int | None) -> float:
    x, y = (form, None) if batch_size is None else form
    history = model.fit(x, y, batch_size=batch_size, verbose=0, epochs=1)
    return float(history.history["loss"][-1])


class _TraceBegins(Exception):
    pass


def _fit_unless_traced_anew(model: keras.Model, form: Any, batch_size: int | None) -> float | None:
    """The loss of a step that runs what was traced before; ``None``, and no step taken, if a new trace began."""
    if model.run_eagerly:
        return _fit(model, form, batch_size)
    begun = []

    def refuse(*_: Any, **__: Any) -> Any:  # the model is called while it is traced, and not when the trace runs
        begun.append(True)
        raise _TraceBegins

    attributes = vars(model)
    own_call = attributes.get("call")
    attributes["call"] = refuse
    try:
        return _fit(model, form, batch_size)
    except Exception:
        if not begun:
            raise
        return None
    finally:
        del attributes["call"]
        if own_call is not None:
            attributes["call"] = own_call


def _steps_like_tlkit(model: keras.Model, batches: list[tuple[Any, ...]]) -> tuple[float, float]:
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    loss = tf.constant(float("nan"))
    for x, y, *_ in batches:
        loss = descend(
            lambda x=x, y=y: loss_of(y, model(x, training=True)) + sum(model.losses),
            [(optimizer, model.trainable_variables)],
        )
    return float(loss), 1e-3


def first_batches(train: Data, steps: int, batch_size: int) -> list[tuple[Any, ...]]:
    """``steps`` batches ``(x, y)`` as tensors; of arrays, spread evenly over the whole, so that sorted data will do.

    Raises:
        ValueError: There is no data, or it is of another kind.
    """
    if isinstance(train, tf.data.Dataset):
        found = [batch for batch in train.take(steps) if isinstance(batch, tuple) and len(batch) >= 2]
        if not found:
            raise ValueError("train must give batches (x, y), got a data set that gives none.")
        return found
    x, y = arrays(train)
    chosen = np.unique(np.linspace(0, len(y) - 1, min(len(y), steps * batch_size)).astype(int))
    parts = np.array_split(chosen, min(steps, len(chosen)))
    return [(tf.constant(np.asarray(x[part])), tf.constant(np.asarray(y[part]))) for part in parts]


def arrays(data: object) -> tuple[Array, Array]:
    """``x`` and ``y`` of a split or a pair of arrays.

    Raises:
        ValueError: It is neither, it is empty, or the lengths differ.
    """
    if isinstance(data, Split):
        return data.x, data.y
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(f"data must be a Split, arrays (x, y) or a tf.data set, got {type(data).__name__}.")
    x, y = np.asarray(data[0]), np.asarray(data[1])
    if not x.ndim or not y.ndim:
        raise ValueError("x and y must be arrays of examples, got a single number.")
    if len(x) != len(y) or not len(x):
        raise ValueError(f"x and y must have one length, 1 or more, got {len(x)} and {len(y)}.")
    return x, y


def _compare(model: keras.Model, before: dict[int, Array], meant: Meant) -> pd.DataFrame:
    rows = []
    for placed in placed_layers(model):
        weights, statistics = own_weights(placed.layer), own_statistics(placed.layer)
        if weights or statistics:
            rows.append(_row(placed, weights, statistics, before, meant))
    table = pd.DataFrame(rows)
    table.attrs["meant_by"] = meant.by
    return table


def _row(
    placed: Placed,
    weights: list[keras.Variable],
    statistics: list[keras.Variable],
    before: dict[int, Array],
    meant: Meant,
) -> dict[str, Any]:
    changes = [[_change(variable, before) for variable in group] for group in (weights, statistics)]
    largest = [float(np.max(group, initial=0)) for group in changes]  # NaN if one is
    moved, counted = largest[0] != 0, largest[1] != 0
    # BatchNorm without scale and offset has no weights, and changes all the same while it trains.
    learns = meant.learns(placed.layer) and (bool(weights) or is_batchnorm(placed.layer))
    return {
        "layer": placed.path,
        "kind": type(placed.layer).__name__,
        "stage": meant.stage(placed.layer),
        "meant": "learn" if learns else "frozen",
        "trainable": bool(placed.layer.trainable),
        "weights": sum(int(np.prod(variable.shape)) for variable in weights),
        "statistics": sum(int(np.prod(variable.shape)) for variable in statistics),
        "weights_moved": moved,
        "statistics_moved": counted,
        "max_abs_change": float(np.max(largest)),
        "verdict": _verdict(
            learns, moved or (learns and counted and not weights), counted, bool(np.isnan(largest).any())
        ),
    }


def _change(variable: keras.Variable, before: dict[int, Array]) -> float:
    """The largest absolute change; NaN when the weight became NaN."""
    old, new = before[id(variable)], variable.numpy()
    if old.tobytes() == new.tobytes():
        return 0.0
    change = np.abs(np.asarray(new, np.float64) - np.asarray(old, np.float64))
    return float(np.max(change, initial=0))


def _verdict(learns: bool, moved: bool, counted: bool, became_nan: bool) -> str:
    if became_nan:
        return "became NaN"
    if learns:
        return AS_MEANT[0] if moved else "did not move, though meant to learn"
    if moved:
        return "moved, though meant to be frozen"
    return "statistics moved, though meant to be frozen" if counted else AS_MEANT[1]


@contextlib.contextmanager
def as_it_was(model: keras.Model) -> Iterator[dict[int, Array]]:
    """Within it the model may be trained; afterwards it, its optimizer and all random states are as before.

    Yields a copy of each weight and statistic, by the variable's identity.
    """
    variables = list(model.variables)
    if model.compiled:
        variables += [] if model.optimizer is None else model.optimizer.variables
        variables += [variable for metric in model.metrics for variable in metric.variables]
    before = {id(variable): variable.numpy().copy() for variable in variables}
    with name_scopes_kept(), random_states_kept(), without_traces_of_fit(model):
        try:
            yield before
        finally:
            for variable in variables:
                variable.assign(before[id(variable)])
