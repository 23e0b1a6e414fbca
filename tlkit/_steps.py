"""One training step, and the one loop around it, on one device or on several.

:func:`tlkit.training.fit`, the experiment and its training from scratch, and the audit's step all use what stands here.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, Protocol

import numpy as np

from tlkit._keras import keras, tf
from tlkit._keras.graph import all_layers, own_statistics
from tlkit._keras.tracing import as_written, graph_of
from tlkit.domains import Split
from tlkit.features import batches
from tlkit.freezing import copy_flags
from tlkit.words import reason

__all__ = [
    "Mirrored",
    "OneDevice",
    "PairSteps",
    "Steps",
    "TaskSteps",
    "descend",
    "interrupts_held",
    "mirrored_strategy",
    "run_epochs",
]

VALIDATION_BATCH = 256


class _Interrupts:
    """Stands in for Python's SIGINT handler: the first Ctrl-C is kept until somebody looks, a second one acts at once.

    Python's own raises ``KeyboardInterrupt`` wherever the program is, and what is raised inside ``__del__`` or a
    callback from C, as there are in Keras and TensorFlow, is lost or becomes another error.
    """

    def __init__(self) -> None:
        self._kept = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        if self._kept:
            self._kept = False
            signal.default_int_handler(number, frame)
        self._kept = True

    def look(self) -> None:
        """Raise ``KeyboardInterrupt`` if there was a Ctrl-C."""
        if self._kept:
            self._kept = False
            raise KeyboardInterrupt


@contextlib.contextmanager
def interrupts_held() -> Iterator[Callable[[], None]]:
    """Within it Ctrl-C raises ``KeyboardInterrupt`` only when the function that it gives is called, or at the end.

    In the main thread alone, where Python handles signals, and only in place of Python's own handler: a program that
    has another one knows why. One training within another holds them for both.
    """
    former = signal.getsignal(signal.SIGINT)
    outer = getattr(former, "__self__", None)
    if isinstance(outer, _Interrupts):
        yield outer.look
    elif threading.current_thread() is not threading.main_thread() or former is not signal.default_int_handler:
        yield lambda: None
    else:
        interrupts = _Interrupts()
        try:
            signal.signal(signal.SIGINT, interrupts.handle)
            yield interrupts.look
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        interrupts.look()


def descend(loss_of: Any, groups: Sequence[tuple[Any, Sequence[keras.Variable]]]) -> Any:
    """One step of gradient descent, each optimizer on its own weights; returns the loss before the step.

    Args:
        loss_of: Computes the loss, a scalar, when called.
        groups: Pairs of a built optimizer and the weights that it moves. The first one's ``scale_loss`` holds for all:
            it keeps small gradients of half precision from becoming 0.
    """
    with tf.GradientTape() as tape:
        loss = loss_of()
        scaled = groups[0][0].scale_loss(loss)
    gradients = iter(tape.gradient(scaled, [weight for _, weights in groups for weight in weights]))
    for optimizer, weights in groups:
        if weights:
            optimizer.apply_gradients([(next(gradients), weight) for weight in weights])
    return loss


class Steps(Protocol):
    """What :func:`run_epochs` runs: steps on a model, and the means since the last reset."""

    model: keras.Model

    def batches(self, split: Split, batch_size: int, seed: int | None) -> Any:
        """Something to iterate over once an epoch; shuffled anew each time when there is a seed."""

    def step(self, parts: Any) -> None:
        """Train on the next batch of an iterator."""

    def score(self, parts: Any) -> None:
        """Only look at the next batch of an iterator."""

    def reset(self) -> None:
        """Begin new means."""

    def logs(self) -> dict[str, float]:
        """``loss`` and what else is known, as means over the examples since the reset."""


def run_epochs(
    steps: Steps,
    train: Split,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    validation: Split | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Iterator[None]:
    """The loop, epoch by epoch and callback by callback as in ``model.fit``. It rests after each batch.

    So whoever runs it may stop, or go on later; a callback that sets ``model.stop_training`` ends it after its epoch.
    """
    calls = keras.callbacks.CallbackList(list(callbacks), model=steps.model, epochs=epochs)
    dealt = steps.batches(train, batch_size, seed)
    held_out = None if validation is None else steps.batches(validation, VALIDATION_BATCH, None)
    steps.model.stop_training = False
    logs: dict[str, float] = {}
    calls.on_train_begin()
    for epoch in range(epochs):
        calls.on_epoch_begin(epoch)
        steps.reset()
        parts = iter(dealt)
        for batch in range(-(-len(train) // batch_size)):
            calls.on_train_batch_begin(batch)
            steps.step(parts)
            logs = steps.logs()
            calls.on_train_batch_end(batch, logs)
            yield
        if validation is not None:
            logs = logs | {f"val_{name}": value for name, value in _score(steps, held_out, validation, calls).items()}
        calls.on_epoch_end(epoch, logs)
        if steps.model.stop_training:
            break
    calls.on_train_end(logs)


def _score(steps: Steps, held_out: Any, validation: Split, calls: keras.callbacks.CallbackList) -> dict[str, float]:
    calls.on_test_begin()
    steps.reset()
    parts = iter(held_out)
    for batch in range(-(-len(validation) // VALIDATION_BATCH)):
        calls.on_test_batch_begin(batch)
        steps.score(parts)
        calls.on_test_batch_end(batch, steps.logs())
    scores = steps.logs()
    calls.on_test_end(scores)
    return scores


class OneDevice:
    """The steps of a compiled model: those that its ``fit`` would take, its own ``train_step`` included.

    They stay on the model, as after a ``fit``, so that :func:`tlkit.audit.audit_fit` finds the very graph that trained.
    """

    def __init__(self, model: keras.Model) -> None:
        if not model.optimizer.built:  # a step that has to make variables of its own is traced twice
            model.optimizer.build(model.trainable_variables)
        self.model = model
        self._now: dict[str, Any] = {}

    def batches(self, split: Split, batch_size: int, seed: int | None) -> Any:
        return batches(split, batch_size, shuffle_seed=seed, model=self.model)

    def step(self, parts: Any) -> None:
        self.model.make_train_function()  # nothing, when there is one
        self._now = self.model.train_function(parts)

    def score(self, parts: Any) -> None:
        self.model.make_test_function()
        self._now = self.model.test_function(parts)

    def reset(self) -> None:
        self.model.reset_metrics()

    def logs(self) -> dict[str, float]:
        return {name: float(value) for name, value in self._now.items()}


class TaskSteps:
    """Steps on another loss than the cross-entropy of the labels: that of :mod:`tlkit.pretraining`, for one.

    Args:
        model: Its weights learn.
        task: From a batch ``(x, y)`` to three scalars: the mean loss, which is made smaller; the share of right
            answers, 0..1; and how many answers both are taken over, by which the means of an epoch weigh the batch.
        optimizer: As Keras writes it down.
    """

    def __init__(
        self, model: keras.Model, task: Callable[[Any, Any], tuple[Any, Any, Any]], optimizer: dict[str, Any]
    ) -> None:
        self.model, self._task = model, task
        model.compile(optimizer=keras.optimizers.get(optimizer))
        model.optimizer.build(model.trainable_variables)
        self._loss, self._accuracy = keras.metrics.Mean(name="loss"), keras.metrics.Mean(name="accuracy")
        self.step, self.score = graph_of(self._train_step), graph_of(self._score_step)

    def batches(self, split: Split, batch_size: int, seed: int | None) -> Any:
        return batches(split, batch_size, shuffle_seed=seed, model=self.model)

    def _train_step(self, parts: Any) -> None:
        x, y = next(parts)
        descend(lambda: self._of_batch(x, y), [(self.model.optimizer, self.model.trainable_weights)])

    def _score_step(self, parts: Any) -> None:
        self._of_batch(*next(parts))

    def _of_batch(self, x: Any, y: Any) -> Any:
        loss, right, answers = self._task(x, y)
        loss = tf.add_n([loss, *(tf.cast(penalty, "float32") for penalty in self.model.losses)])
        self._loss.update_state(loss, sample_weight=answers)
        self._accuracy.update_state(right, sample_weight=answers)
        return loss

    def reset(self) -> None:
        self._loss.reset_state()
        self._accuracy.reset_state()

    def logs(self) -> dict[str, float]:
        return {metric.name: float(metric.result()) for metric in (self._loss, self._accuracy)}


def mirrored_strategy(strategy: str | tf.distribute.MirroredStrategy) -> tf.distribute.MirroredStrategy:
    """The strategy for an argument of :func:`tlkit.training.fit`.

    Raises:
        ValueError: It is neither ``"mirrored"`` nor a mirrored strategy.
    """
    if isinstance(strategy, tf.distribute.MirroredStrategy):
        return strategy
    if strategy != "mirrored":
        given = repr(strategy) if isinstance(strategy, str) else type(strategy).__name__
        raise ValueError(f"strategy must be None, 'mirrored' or a tf.distribute.MirroredStrategy, got {given}.")
    return tf.distribute.MirroredStrategy([d.name for d in tf.config.list_logical_devices("GPU")] or ["CPU:0"])


class Mirrored:
    """The steps of a model's clone, mirrored on several devices: one step for the whole batch.

    Keras' own loop is no choice: it weighs the devices' parts of a batch alike, whatever their sizes (of 5 examples on
    two devices, each of the smaller part counts half as much again), and before it begins it adds up the parts of the
    first batch, which fails when they differ in size (Keras 3.15). This follows what TensorFlow recommends instead:
    https://www.tensorflow.org/tutorials/distribute/custom_training.
    """

    def __init__(self, model: keras.Model, strategy: tf.distribute.MirroredStrategy, optimizer: dict[str, Any]) -> None:
        self._strategy, self._parts = strategy, strategy.num_replicas_in_sync
        _check_mirrored(model)
        try:
            with strategy.scope():
                self.model = keras.models.clone_model(model)
        except (NotImplementedError, TypeError, ValueError) as error:
            raise ValueError(
                f"strategy needs a model that Keras can clone, got {model.name!r}: {reason(error, 160)}"
            ) from error
        copy_flags(model, self.model)
        self._pairs = list(zip(_state(model), _state(self.model), strict=True))
        for original, copied in self._pairs:
            copied.assign(original.numpy())
            copied.regularizer = original.regularizer  # may have been set on the weight, where no clone looks
        with strategy.scope():
            self._loss = keras.metrics.Mean(name="loss")
            self._accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
            self.model.compile(optimizer=keras.optimizers.get(optimizer))
            self.model.optimizer.build(self.model.trainable_variables)
        self.step, self.score = graph_of(self._train_step), graph_of(self._score_step)

    def copy_back(self) -> None:
        """Give the original the clone's weights."""
        for original, copied in self._pairs:
            original.assign(copied.numpy())

    def batches(self, split: Split, batch_size: int, seed: int | None) -> Any:
        """The batches of :func:`tlkit.features.batches`, in the same order, each in parts, one for each device."""
        parts = self._parts

        @as_written
        def in_parts(x: Any, y: Any) -> tf.data.Dataset:
            size = tf.shape(y, out_type=tf.int64)[0]

            def part(i: Any) -> tuple[Any, Any, Any, Any]:
                start, end = size * i // parts, size * (i + 1) // parts
                counts = tf.cast(end > start, "float32")  # not every operation takes an empty part: one example for all
                x_part, y_part = (tensor[start : tf.maximum(end, start + 1)] for tensor in (x, y))
                return x_part, y_part, tf.fill(tf.shape(y_part), counts), 1 / tf.cast(size, "float32")

            return tf.data.Dataset.range(parts).map(part)

        def dataset(_: tf.distribute.InputContext) -> tf.data.Dataset:
            return (
                batches(split, batch_size, shuffle_seed=seed, model=self.model).flat_map(in_parts).prefetch(2 * parts)
            )

        return self._strategy.distribute_datasets_from_function(dataset)

    def _train_step(self, parts: Any) -> None:
        self._strategy.run(self._train_on_part, args=(next(parts),))

    def _score_step(self, parts: Any) -> None:
        self._strategy.run(self._score_part, args=(next(parts),), kwargs={"training": False})

    def _train_on_part(self, part: tuple[Any, Any, Any, Any]) -> None:
        def loss_of() -> Any:
            losses, penalty = self._score_part(part, training=True)
            # The optimizer adds the devices' gradients up: to that of the mean over the whole batch.
            return tf.reduce_sum(losses) * part[3] + penalty / self._parts

        descend(loss_of, [(self.model.optimizer, self.model.trainable_weights)])

    def _score_part(self, part: tuple[Any, Any, Any, Any], *, training: bool) -> tuple[Any, Any]:
        """The cross-entropy of each example that counts, and what regularizers add to the mean; metrics get both."""
        x, y, counts, _ = part
        logits = tf.cast(self.model(x, training=training), "float32")
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
        penalty = tf.add_n([tf.zeros(()), *(tf.cast(loss, "float32") for loss in self.model.losses)])
        self._loss.update_state(losses + penalty, sample_weight=counts)
        self._accuracy.update_state(y, logits, sample_weight=counts)
        return losses * counts, penalty

    def reset(self) -> None:
        self._loss.reset_state()
        self._accuracy.reset_state()

    def logs(self) -> dict[str, float]:
        return {metric.name: float(metric.result()) for metric in (self._loss, self._accuracy)}


def _check_mirrored(model: keras.Model) -> None:
    half = [layer.name for layer in all_layers(model) if layer.compute_dtype == "float16"]
    if half:
        # It needs a scaled loss, which Keras does inside a condition, where TensorFlow lets devices exchange nothing.
        raise ValueError(
            "strategy trains in float32 or mixed_bfloat16 (mixed_float16 is keras issue 20763), "
            f"got {half[0]!r} in float16."
        )


def _state(model: keras.Model) -> list[keras.Variable]:
    """Weights, and the states of the random generators of dropout and augmentation."""
    return [*model.weights, *_seeds(model)]


def _seeds(model: keras.Model) -> list[keras.Variable]:
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]


class PairSteps(OneDevice):
    """Steps on a batch of the source and one of the target: the cross-entropy of the first, and a term of both.

    The two run through the network one after the other. So where BatchNorm learns, each is normalised by its own
    batch. The moving statistics, and dropout's next draw, are then those of the source alone.
    """

    def __init__(self, model: keras.Model, both: keras.Model, target: Split, term: Any, extra: Any, *steps: int):
        super().__init__(model)
        self._both, self._target, self._term = both, target, term
        self._states = [state for layer in all_layers(model) for state in own_statistics(layer)] + _seeds(model)
        self._means = [keras.metrics.Mean() for _ in range(2)]
        self._right = keras.metrics.SparseCategoricalAccuracy()
        self._groups = [(model.optimizer, model.trainable_weights)]
        if extra is not None:  # the domain classifier learns by an optimizer of its own, at the same rate
            optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
            optimizer.build(extra.trainable_weights)
            self._groups.append((optimizer, extra.trainable_weights))
        self._done, self._per_epoch, self._epochs = 0, *steps
        self.alignment: dict[int, float] = {}  # what the term was in the mean of each epoch, without its weight
        self._train = graph_of(self._step)

    def batches(self, split: Split, batch_size: int, seed: int | None) -> Any:
        if seed is not None:
            size = min(batch_size, len(self._target))
            own = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])  # not the order of the source
            whole = as_written(lambda x, _: tf.shape(x)[0] == size)
            self._others = iter(batches(self._target, size, shuffle_seed=own, model=self.model).filter(whole).repeat())
        return super().batches(split, batch_size, seed)

    def step(self, parts: Any) -> None:
        progress = self._done / (self._per_epoch * self._epochs)
        self._now = self._train(parts, self._others, tf.constant(progress, "float32"))
        self.alignment[1 + self._done // self._per_epoch] = float(self._now["alignment"])
        self._done += 1

    def reset(self) -> None:
        super().reset()
        for metric in (*self._means, self._right):
            metric.reset_state()

    def _step(self, parts: Any, others: Any, progress: Any) -> dict[str, Any]:
        (x, y), (target, _) = next(parts), next(others)

        def loss_of() -> Any:
            features, logits = self._both(x, training=True)
            loss = self.model.compute_loss(x=x, y=y, y_pred=logits, training=True)
            kept = [tf.identity(state.value) for state in self._states]
            target_features, target_logits = self._both(target, training=True)
            for state, value in zip(self._states, kept, strict=True):
                state.assign(value)
            value, term = self._term(features, target_features, target_logits, progress)
            for mean, number in zip(self._means, (loss, value), strict=True):
                mean.update_state(number, sample_weight=tf.shape(y)[0])
            self._right.update_state(y, logits)
            return loss + term

        descend(loss_of, self._groups)
        loss, alignment = (mean.result() for mean in self._means)
        return {"loss": loss, "accuracy": self._right.result(), "alignment": alignment}


class EntropySteps(OneDevice):
    """Steps that lower the entropy of a model's answers; labels are dealt, and nothing reads them."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__(model)
        self._mean = keras.metrics.Mean()
        self._train = graph_of(self._step)

    def step(self, parts: Any) -> None:
        self._now = self._train(parts) | {"accuracy": 0.0}

    def reset(self) -> None:
        self._mean.reset_state()

    def _step(self, parts: Any) -> dict[str, Any]:
        x, _ = next(parts)

        def entropy() -> Any:
            logits = tf.cast(self.model(x, training=True), "float32")
            each = -tf.reduce_sum(tf.nn.softmax(logits) * tf.nn.log_softmax(logits), axis=1)
            self._mean.update_state(each)
            return tf.reduce_mean(each)

        descend(entropy, [(self.model.optimizer, self.model.trainable_weights)])
        return {"loss": self._mean.result()}
