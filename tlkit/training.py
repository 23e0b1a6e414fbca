"""Training: compile and fit, with a tidy history; stoppable at any batch."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import pandas as pd

from tlkit._bar import progress_bar
from tlkit._keras import keras, tf
from tlkit._keras.graph import all_layers, not_finite
from tlkit._steps import Mirrored, OneDevice, Steps, interrupts_held, mirrored_strategy, run_epochs
from tlkit.backbones import Backbone, check_backbone
from tlkit.backbones.graph import check_model
from tlkit.domains import Split, check_count, check_rate, check_seed, check_split
from tlkit.features import cache_features, check_labels, check_shape, split_at
from tlkit.files.store import MAX_BYTES
from tlkit.freezing import OneAtATime, freeze_to
from tlkit.heads import join
from tlkit.probe import fit_probe as fit_probe  # they were here
from tlkit.probe import logistic_regression as logistic_regression
from tlkit.words import nearest_name

__all__ = ["FitOptions", "fine_tune", "fit"]

OPTIMIZERS = ("adam", "adamw", "sgd")


@dataclass(frozen=True)
class FitOptions:
    """How to train, whatever is trained: the keywords of :func:`fit`, which says what they mean, as one object.

    With it, several calls of :func:`fine_tune` share their options.

    Raises:
        ValueError: ``batch_size`` or ``seed`` is out of range, ``callbacks`` or ``stop`` is of another kind, or
            ``optimizer`` is not known.
    """

    batch_size: int = 32
    seed: int = 0
    callbacks: Sequence[keras.callbacks.Callback] = ()
    optimizer: str = "adam"
    stop: threading.Event | None = None
    progress: bool | None = None
    strategy: str | tf.distribute.MirroredStrategy | None = None

    def __post_init__(self) -> None:
        check_count("batch_size", self.batch_size)
        check_seed(self.seed)
        if not isinstance(self.callbacks, (list, tuple)):
            raise ValueError(f"callbacks must be a list of Keras callbacks, got {type(self.callbacks).__name__}.")
        for callback in self.callbacks:
            if not isinstance(callback, keras.callbacks.Callback):
                raise ValueError(f"callbacks must be Keras callbacks, got {type(callback).__name__} among them.")
        if self.stop is not None and not callable(getattr(self.stop, "is_set", None)):
            raise ValueError(f"stop must be None or a threading.Event, got {type(self.stop).__name__}.")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be {nearest_name(self.optimizer, OPTIMIZERS)}")


class FitKeywords(TypedDict, total=False):
    """The fields of :class:`FitOptions` as keywords, so that editors and type checkers know them."""

    batch_size: int
    seed: int
    callbacks: Sequence[keras.callbacks.Callback]
    optimizer: str
    stop: threading.Event | None
    progress: bool | None
    strategy: str | tf.distribute.MirroredStrategy | None


DEFAULTS = FitOptions()


def fit(
    model: keras.Model,
    train: Split,
    *,
    epochs: int,
    learning_rate: float,
    batch_size: int = 32,
    validation: Split | None = None,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    optimizer: str = "adam",
    stop: threading.Event | None = None,
    progress: bool | None = None,
    strategy: str | tf.distribute.MirroredStrategy | None = None,
) -> pd.DataFrame:
    """Train ``model`` on ``train`` with cross-entropy on its logits, and return the history.

    It compiles each time, because Keras ignores a change of ``trainable`` made after compile and a first fit, without a
    word. The order of the batches depends on ``seed`` and the number of examples alone, so that training a tail on
    cached features sees the very batches that training the whole model sees.

    Ctrl-C (or a notebook's stop button), and ``stop`` once it is set from another thread, end the training after the
    batch in progress: the weights of that batch are kept, and the history so far is returned. A second Ctrl-C does not
    wait for the batch.

    On several devices (``strategy``) each batch is dealt out in parts that differ by one example at most, and the step
    is that of the whole batch: the parts' gradients are summed, each example counting 1 over the size of the batch
    (Goyal et al., 2017, arXiv:1706.02677, section 2.3). So weights and history are those of one device, up to the order
    in which floating point adds, but for this: BatchNorm that trains normalises each part by the part's own mean and
    variance, and its moving statistics take in their mean over the devices; dropout and augmentation draw anew.
    ``learning_rate`` and ``batch_size`` mean what they mean on one device. TensorFlow mirrors only variables that were
    made for it, so a clone is trained and its weights are copied back at the end, also when the training was stopped or
    failed; callbacks see the clone as their ``model`` (so :func:`tlkit.audit.watch` can take no backbone there).

    Args:
        model: From ``train.x`` to logits ``(n, n_classes)``.
        epochs: Passes over ``train``, 1 or more.
        learning_rate: Step size, above 0.
        batch_size: Examples per step, 1 or more.
        validation: Scored after each epoch.
        callbacks: Further Keras callbacks.
        optimizer: ``"adam"``, ``"adamw"`` or ``"sgd"`` (without momentum).
        stop: An event that ends the training when set.
        progress: Show a bar (terminal or notebook); by default where someone can see it: a notebook or a terminal.
        strategy: ``None`` trains on one device; ``"mirrored"`` on all GPUs of this machine (without a GPU on its one
            CPU device, which is no faster); a ``tf.distribute.MirroredStrategy`` on the devices that it names.

    Returns:
        One row per epoch and split: ``epoch`` (from 1), ``split`` (``"train"`` or ``"validation"``), ``loss`` (mean
        cross-entropy, nats) and ``accuracy`` (0..1). Training figures are means over the batches of the epoch, while
        the weights were changing; validation figures are taken after it. An epoch that was stopped has its training
        row alone, and ``history.attrs["stopped"]`` is then true.

    Raises:
        ValueError: An argument out of range, nothing to train, labels that the head has no logit for, or something that
            ``strategy`` cannot do; ``model`` is no built Keras model, ``train`` no split, or an option of another kind.
        FloatingPointError: The loss of an epoch, or a weight after the last one, became NaN or infinite: the learning
            rate was too large. The training ends with that epoch; the weights are lost.
        RuntimeError: Another training moves weights of ``model`` now, or this process was forked from one in which
            TensorFlow was running: it would wait for ever.
    """
    options = FitOptions(
        batch_size=batch_size,
        seed=seed,
        callbacks=callbacks,
        optimizer=optimizer,
        stop=stop,
        progress=progress,
        strategy=strategy,
    )
    check_model(model)
    return _fit(model, train, validation, epochs, learning_rate, options)


def fit_by_steps(
    model: keras.Model,
    train: Split,
    validation: Split | None,
    epochs: int,
    learning_rate: float,
    options: FitOptions,
    steps: Callable[[keras.Model], Steps],
) -> pd.DataFrame:
    """:func:`fit` with steps that have a loss of their own: ``steps`` makes them of the model, compiled as there.

    Raises:
        ValueError: As from :func:`fit`, or ``strategy`` is given: only the steps of :func:`fit` are mirrored.
    """
    if options.strategy is not None:
        raise ValueError(f"strategy must be None here: this training runs on one device, got {options.strategy!r}.")
    return _fit(model, train, validation, epochs, learning_rate, options, steps)


def _fit(model: keras.Model, *rest: Any) -> pd.DataFrame:
    """:func:`fit` of a model whose weights no other training moves meanwhile."""
    with OneAtATime(model.name, model.trainable_weights):
        return _fit_alone(model, *rest)


def _fit_alone(
    model: keras.Model,
    train: Split,
    validation: Split | None,
    epochs: int,
    learning_rate: float,
    options: FitOptions,
    steps: Callable[[keras.Model], Steps] = OneDevice,
) -> pd.DataFrame:
    check_count("epochs", epochs)
    check_rate("learning_rate", learning_rate)
    if not model.trainable_weights:
        raise ValueError(f"a model must have a weight to train, got {model.name!r}, where all are frozen.")
    check_split("train", train)
    if validation is not None:
        check_split("validation", validation)
    for split in (train, validation):
        if split is not None:
            check_shape(model, split)
            check_labels(model, split.y)

    def make(step_size: dict[str, Any]) -> Steps:
        mirrored = None
        if options.strategy is not None:
            mirrored = Mirrored(model, mirrored_strategy(options.strategy), step_size)
        model.compile(
            optimizer=keras.optimizers.get(step_size),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )
        return mirrored or steps(model)

    return take_steps(model, make, train, validation, epochs, learning_rate, options)


def take_steps(
    model: keras.Model,
    make: Callable[[dict[str, Any]], Steps],
    train: Split,
    validation: Split | None,
    epochs: int,
    learning_rate: float,
    options: FitOptions,
) -> pd.DataFrame:
    """The training around any kind of step: :func:`fit` says what happens in it, and what it returns.

    Args:
        model: Its weights must be finite at the end.
        make: From an optimizer, as Keras writes it down, to the steps; what it raises is raised.
    """
    step_size = {"class_name": options.optimizer, "config": {"learning_rate": float(learning_rate)}}
    total = epochs * -(-len(train) // options.batch_size)
    bar = progress_bar(total, "training", "batch", shown=options.progress, delay=0.5)
    recorder = _Recorder(options.stop, bar)
    stopped, steps = False, None
    try:
        with interrupts_held() as look:
            recorder.look = look
            try:
                steps = make(step_size)
                for _ in run_epochs(
                    steps,
                    train,
                    epochs=epochs,
                    batch_size=options.batch_size,
                    seed=options.seed,
                    validation=validation,
                    callbacks=[recorder, *options.callbacks],
                ):
                    look()
            finally:
                recorder.bar.close()
                if isinstance(steps, Mirrored):
                    steps.copy_back()
    except (KeyboardInterrupt, _Stopped):
        # A step is one graph call, which Python cannot interrupt half way: the weights are those of a whole batch.
        recorder.close_epoch()
        stopped = True
    _check_trained(model, recorder.rows, learning_rate)
    history = pd.DataFrame(recorder.rows, columns=["epoch", "split", "loss", "accuracy"])
    history.attrs["stopped"] = stopped
    return history


def fine_tune(
    backbone: Backbone,
    head: keras.Model,
    train: Split,
    *,
    stage: int,
    epochs: int,
    learning_rate: float,
    two_phase: bool = False,
    tail_rate_factor: float = 0.1,
    validation: Split | None = None,
    train_batchnorm: bool = False,
    views: int = 1,
    augment: keras.layers.Layer | None = None,
    cache_dir: str | Path | None = None,
    max_bytes: int = MAX_BYTES,
    options: FitOptions = DEFAULTS,
    **keywords: Unpack[FitKeywords],
) -> pd.DataFrame:
    """Freeze, split, cache and train in one call; ``backbone`` and ``head`` come out trained.

    It does what the long way does (:func:`tlkit.freezing.freeze_to`, :func:`tlkit.features.split_at`,
    :func:`tlkit.features.cache_features`, :func:`fit` on the joined tail and head) and gives the same weights.

    Args:
        backbone: What to fine-tune.
        head: Takes the backbone's feature map.
        train: Raw images, or token ids.
        stage: Stages 1 to ``stage`` stay frozen and run once.
        epochs: Passes over ``train`` (over all its views), in each phase.
        learning_rate: Step size; with ``two_phase`` the head's.
        two_phase: First the head alone on the frozen backbone, then the tail and the head together at a lower rate, so
            that a random head sends no large, meaningless gradients into the backbone (Kumar et al., 2022,
            arXiv:2202.10054). With everything frozen there is only the first phase.
        tail_rate_factor: The second phase's learning rate as a share of the first's, in (0, 1].
        train_batchnorm: See :func:`tlkit.freezing.freeze_to`.
        views: See :func:`tlkit.features.cache_features`, also for ``augment``, ``cache_dir`` and ``max_bytes``.
        validation: Raw images, scored after each epoch; they too run through the frozen part once.
        options: How to train; the frozen part, which runs once, uses the seed alone.
        keywords: Single options by name, in place of those of ``options``: ``seed=3``, ``progress=False``.

    Returns:
        The history of :func:`fit` with a first column ``phase``, ``"head"`` or ``"tail"``; epochs count on through both
        phases.

    Raises:
        ValueError: As from the functions it calls; nothing is trained then.
        FloatingPointError: As from :func:`fit`, or the frozen part gave NaN or infinite features.
    """
    options = replace(options, **keywords)
    check_backbone(backbone)
    check_model(head)
    check_split("train", train)
    if validation is not None:
        check_split("validation", validation)
    check_count("epochs", epochs)
    check_rate("learning_rate", learning_rate)
    if not 0 < tail_rate_factor <= 1:
        raise ValueError(f"tail_rate_factor must be above 0 and at most 1, got {tail_rate_factor}.")
    backbone.check_stage(stage)
    phases = [("tail" if stage < backbone.n_stages else "head", stage, learning_rate)]
    if two_phase and stage < backbone.n_stages:
        phases = [("head", backbone.n_stages, learning_rate), ("tail", stage, learning_rate * tail_rate_factor)]

    def cached_parts(trunk: keras.Model) -> tuple[Split, Split | None]:
        few = cache_features(
            trunk, train, views=views, augment=augment, seed=options.seed, cache_dir=cache_dir, max_bytes=max_bytes
        )
        if validation is None:
            return few, None
        return few, cache_features(trunk, validation, cache_dir=cache_dir, max_bytes=max_bytes)

    # All features before any training: what is frozen in a phase is frozen in the phase before, and an error (a full
    # disk, a limit on memory) comes while nothing is lost.
    prepared = []
    for phase, frozen_to, rate in phases:
        trunk, tail = split_at(backbone, frozen_to)
        prepared.append((phase, frozen_to, rate, tail, *cached_parts(trunk)))
    histories: list[pd.DataFrame] = []
    for phase, frozen_to, rate, tail, cached, held_out in prepared:
        freeze_to(backbone, frozen_to, train_batchnorm=train_batchnorm)
        history = _fit(join(tail, head), cached, held_out, epochs, rate, options)
        history["epoch"] += sum(int(part["epoch"].max()) for part in histories)
        history.insert(0, "phase", phase)
        histories.append(history)
        if history.attrs["stopped"]:
            break
    whole = pd.concat(histories, ignore_index=True)
    whole.attrs["stopped"] = histories[-1].attrs["stopped"]
    return whole


def _check_trained(model: keras.Model, rows: list[tuple[int, str, float, float]], learning_rate: float) -> None:
    """Raise ``FloatingPointError`` if the last epoch's loss is no number, or a weight is none after the last step."""
    half = any(layer.compute_dtype == "float16" for layer in all_layers(model))
    cause = f"learning_rate, {learning_rate:g}, is too large{', or float16 too narrow' if half else ''}"
    last = rows[-1][0] if rows else 0
    for epoch, split, loss, _ in rows:
        if epoch == last and not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss must be finite, got {loss} on the {split} split in epoch {epoch}: {cause}, unless the "
                "weights were not finite before."
            )
    lost = not_finite(model)
    if rows and lost is not None:
        raise FloatingPointError(f"weights must be finite, got NaN or inf in {lost!r} after epoch {last}: {cause}.")


class _Stopped(Exception):
    """Leaves Keras' loop at a batch; its own ``stop_training`` would still score the validation set."""


class _Recorder(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Keeps the history row by row, moves the bar, and stops after the batch in which ``stop`` was set."""

    def __init__(self, stop: threading.Event | None, bar: Any) -> None:
        super().__init__()
        self.rows: list[tuple[int, str, float, float]] = []
        self.bar = bar
        self.look: Callable[[], None] = lambda: None
        self._stop = stop
        self._epoch = 0
        self._train: dict[str, float] | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch, self._train = epoch + 1, None

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._train = dict(logs or {})
        self.bar.update()
        if self._stop is not None and self._stop.is_set():
            raise _Stopped

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.close_epoch()
        if logs and "val_loss" in logs:
            self.rows.append((self._epoch, "validation", float(logs["val_loss"]), float(logs["val_accuracy"])))
        if not all(math.isfinite(loss) for epoch, _, loss, _ in self.rows[-2:] if epoch == self._epoch):
            raise _Stopped  # there is nothing to learn from NaN; _check_trained says so

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.look()

    def close_epoch(self) -> None:
        if self._train:
            self.rows.append((self._epoch, "train", float(self._train["loss"]), float(self._train["accuracy"])))
        self._train = None
