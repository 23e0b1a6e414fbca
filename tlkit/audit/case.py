"""What a rule looks at: the model, the data in a form that can be read twice, and one audited step."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tlkit._keras import keras, tf
from tlkit._keras.graph import own_weights
from tlkit.audit.graph import before_padding, first_weighted, has_graph, last_operations
from tlkit.audit.moved import Data, Meant, arrays, audit_fit
from tlkit.backbones import Backbone
from tlkit.domains import Array, Split
from tlkit.features import padded_alike

__all__ = ["Case", "Examples", "Unknown"]

MAX_EXAMPLES = 5_000  # of a tf.data set, which may be endless


class Unknown(Exception):
    """A rule cannot be applied; the text says why."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled examples, read once: ``x`` ``(n, ...)``, ``y`` ``(n, ...)``.

    ``groups`` are ``(n,)`` or ``None``, ``texts`` the words behind token ids or ``None``.
    """

    x: Array
    y: Array
    groups: Array | None = None
    texts: Sequence[str] | None = None

    @property
    def is_text(self) -> bool:
        """Whether these are token ids."""
        return are_tokens(self.x)

    @property
    def noun(self) -> str:
        """What one of them is called."""
        return "text" if self.is_text else "image" if self.x.ndim == 4 else "example"

    def some(self, n: int) -> Array:
        """At most ``n`` of ``x``, spread evenly."""
        chosen: Array = self.x[np.unique(np.linspace(0, len(self.x) - 1, min(n, len(self.x))).astype(int))]
        return chosen

    @functools.cached_property
    def classes(self) -> Array:
        """Class indices ``(n,)``, also of one-hot labels."""
        y = self.y
        if y.size % len(y) or y.ndim > 2:
            raise Unknown("labels are not one class per example")
        if y.dtype.kind not in "iub" and not np.array_equal(y, np.round(y)):
            raise Unknown("labels are not class indices")
        if y.ndim == 2 and y.shape[1] > 1:
            return np.asarray(y.argmax(axis=1))
        return y.reshape(len(y)).astype(np.int64)


def are_tokens(x: Array) -> bool:
    """Whether these are token ids ``(n, length)``, as a split has them or as other tokenizers give them."""
    return x.ndim == 2 and x.dtype in (np.int32, np.int64)


def read(data: Data) -> Examples:
    """All examples of a split or of arrays, the first 5,000 of a ``tf.data`` set."""
    if isinstance(data, Split):
        return Examples(np.asarray(data.x), data.y, data.groups, data.texts)
    if not isinstance(data, tf.data.Dataset):
        return Examples(*arrays(data))
    columns: tuple[list[Array], list[Array]] = ([], [])
    n = 0
    for batch in data:
        if not isinstance(batch, tuple) or len(batch) < 2:
            raise Unknown("a tf.data set must give batches (x, y)")
        if not all(isinstance(part, tf.Tensor) for part in batch[:2]):
            raise Unknown("the data have several inputs or outputs")
        for column, part in zip(columns, batch[:2], strict=True):
            column.append(np.asarray(part))
        n += len(columns[1][-1]) if columns[1][-1].ndim else 0
        if n >= MAX_EXAMPLES:
            break
    if not n:
        raise Unknown("a tf.data set must give batches with examples in them")
    # Token ids may have been padded batch by batch.
    x = padded_alike(columns[0]) if all(map(are_tokens, columns[0])) else columns[0]
    return Examples(np.concatenate(x), np.concatenate(columns[1]))


class Case:
    """One diagnosis: everything that was given, and what several rules need, computed once."""

    def __init__(
        self,
        model: keras.Model,
        data: dict[str, Data],
        *,
        backbone: Backbone | keras.Model | None,
        intended_stage: int | None,
        train_batchnorm: bool,
        history: pd.DataFrame | None,
        batch_size: int,
        confusion: Array | None,
        features: Split | None,
    ) -> None:
        self.model = model
        self.data = data
        self.backbone, self.intended_stage, self.train_batchnorm = backbone, intended_stage, train_batchnorm
        self.history = history
        self.batch_size = batch_size
        self.confusion, self.features = confusion, features
        self.meant = Meant(model, backbone, intended_stage, train_batchnorm)
        self.stages = self.meant.stages
        self._read: dict[str, Examples] = {}

    def examples(self, part: str) -> Examples:
        """The examples of ``"train"``, ``"validation"`` or ``"test"``."""
        if part not in self.data:
            raise Unknown(f"no {part} data given")
        if part not in self._read:
            self._read[part] = read(self.data[part])
        return self._read[part]

    def parts(self) -> dict[str, Examples]:
        """All parts that were given."""
        return {part: self.examples(part) for part in self.data}

    @functools.cached_property
    def learning(self) -> set[int]:
        """The identities of the variables that a fresh compile would train."""
        return {id(variable) for variable in self.model.trainable_variables}

    def learns(self, layer: keras.layers.Layer) -> bool:
        """Whether a fresh compile would train a weight of the layer's own; of one without any, what its flag says."""
        weights = own_weights(layer)
        return any(id(variable) in self.learning for variable in weights) if weights else bool(layer.trainable)

    @functools.cached_property
    def step(self) -> pd.DataFrame:
        """One audited training step, its rows by the path of the layer."""
        if "train" not in self.data:
            raise Unknown("no train data given")
        if not self.model.compiled:
            raise Unknown("model not compiled")
        try:
            table = audit_fit(
                self.model,
                self.data["train"],
                backbone=self.backbone,
                intended_stage=self.intended_stage,
                train_batchnorm=self.train_batchnorm,
                batch_size=self.batch_size,
            )
        except ValueError as error:
            raise Unknown(str(error)) from error
        return table.set_index("layer", drop=False)

    @functools.cached_property
    def gives(self) -> tuple[str, str]:
        """``"softmax"``, ``"sigmoid"``, ``"logits"`` or ``"other"``, and how that is known."""
        try:
            activation, layer, after = self.last_activations[0]
        except Unknown:
            rows = np.asarray(self.outputs, np.float64)
            if rows.ndim != 2 or rows.shape[1] < 2:
                raise
            sums = rows.sum(axis=1)
            if rows.min() >= 0 and np.allclose(sums, 1, atol=1e-3):
                return "softmax", f"all {len(rows)} outputs looked at are 0 or more and sum to 1"
            return "logits", f"outputs range from {rows.min():.2f} to {rows.max():.2f} and do not sum to 1"
        kind = {"linear": "logits"}.get(activation, activation if activation in ("softmax", "sigmoid") else "other")
        hidden = f", with {', '.join(after)} after it" if after else ""
        return kind, f"the last activation is {activation} (layer {layer!r}{hidden})"

    def needs_graph(self) -> None:
        """Raise :class:`Unknown` for a subclassed model."""
        if not has_graph(self.model):
            raise Unknown("the model is subclassed: it has no graph to read")

    @functools.cached_property
    def width(self) -> int:
        """The number of outputs of the head."""
        shape = getattr(self.model, "output_shape", None)
        if isinstance(shape, tuple) and shape and shape[-1]:
            return int(shape[-1])
        outputs = self.outputs
        if outputs.ndim < 2:
            raise Unknown("the model gives no outputs (n, classes)")
        return int(outputs.shape[-1])

    @functools.cached_property
    def outputs(self) -> Array:
        """What the model gives for some examples, in inference mode."""
        for part in ("train", "validation", "test"):
            if part in self.data:
                try:
                    return np.asarray(self.model(tf.constant(self.examples(part).some(64)), training=False))
                except Exception as error:
                    raise Unknown("the model cannot be called on the data") from error
        raise Unknown("no data given")

    @functools.cached_property
    def entering(self) -> tuple[Array, Array, list[Any]]:
        """Raw examples, what enters the first layer with weights, and the operations in between."""
        self.needs_graph()
        if len(self.model.inputs) != 1:
            raise Unknown("the model has several inputs")
        part = next(iter(self.data), None)
        if part is None:
            raise Unknown("no data given")
        raw = self.examples(part).some(64)
        values, model, passed = tf.constant(raw), self.model, []
        while True:
            found = first_weighted(model)
            if found is None:
                raise Unknown("the model has no layers with weights")
            operation, tensor = found
            if isinstance(operation, keras.layers.Embedding):
                raise Unknown("the model takes tokens, not pixels")
            nested = isinstance(operation, keras.Model) and operation is not model and hasattr(operation, "inputs")
            if not nested:  # zeros at the border would lower the means; what enters a nested network has to fit it
                tensor = before_padding(tensor)
            before = keras.Model(model.inputs[0], tensor, name="before_weights")
            try:
                values = before(values, training=False)
            except Exception as error:
                raise Unknown("the model cannot be called on the data") from error
            passed += [inner for inner in before.operations if not isinstance(inner, keras.layers.InputLayer)]
            if not nested:
                break
            model = operation
        return np.asarray(raw, np.float64), np.asarray(values, np.float64), passed

    @functools.cached_property
    def loss(self) -> tuple[str, bool]:
        """The loss' name (``sparse_categorical_crossentropy`` …) and whether it takes logits."""
        if not self.model.compiled:
            raise Unknown("model not compiled")
        loss = self.model.loss
        if isinstance(loss, (list, tuple, dict)):
            loss = next(iter(loss.values())) if isinstance(loss, dict) else loss[0]
        if isinstance(loss, str):
            loss = keras.losses.get(loss)
        if not getattr(loss, "__module__", type(loss).__module__).startswith("keras."):
            raise Unknown("the loss is not one of Keras")
        if isinstance(loss, keras.losses.Loss):
            try:
                logits = bool(loss.get_config().get("from_logits", False))
            except NotImplementedError:
                raise Unknown("the loss does not say whether it takes logits") from None
            return _snake(type(loss).__name__), logits
        return getattr(loss, "__name__", type(loss).__name__), False

    @functools.cached_property
    def last_activations(self) -> list[tuple[str, str, list[str]]]:
        """From the output backwards: activation, layer, and the layers after it that only change the shape.

        It ends at the first layer that computes something else. ``"linear"`` stands for a layer without activation.
        """
        self.needs_graph()
        found: list[tuple[str, str, list[str]]] = []
        passed: list[str] = []
        for operation in last_operations(self.model):
            activation = _activation(operation)
            weighted = hasattr(operation, "kernel")
            if activation is None or (activation == "linear" and not weighted):
                known = isinstance(operation, _SHAPE_ONLY) or type(operation).__name__ in _SHAPE_ONLY_OPERATIONS
                if activation is None and not known:
                    break
                passed.append(operation.name)
                continue
            found.append((activation, operation.name, passed))
            passed = []
            if weighted or activation not in ("softmax", "sigmoid"):
                break  # what stands before a layer with weights is not the last activation
        if not found:
            raise Unknown("the last activation cannot be read from the graph")
        return found


_SHAPE_ONLY = (
    keras.layers.Reshape,
    keras.layers.Flatten,
    keras.layers.Permute,
    keras.layers.Dropout,
    keras.layers.Identity,
    keras.layers.RepeatVector,
)
_SHAPE_ONLY_OPERATIONS = ("Reshape", "Squeeze", "ExpandDims", "Transpose", "Ravel", "Cast", "GetItem")


def _activation(operation: Any) -> str | None:
    """The name of the function that an operation ends in, ``None`` when it is none and has no weights."""
    if isinstance(operation, keras.layers.Softmax) or type(operation).__name__ == "Softmax":
        return "softmax"
    if type(operation).__name__ == "Sigmoid":
        return "sigmoid"
    activation = getattr(operation, "activation", None)
    if activation is not None:
        return str(getattr(activation, "__name__", type(activation).__name__))
    return "linear" if hasattr(operation, "kernel") else None


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
