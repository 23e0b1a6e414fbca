"""What a run trains with: a graph that is built once for each choice of layers, and found ready by the next run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit._keras import keras, tf
from tlkit.domains import Split
from tlkit.experiment.settings import Settings

__all__ = ["Report", "Step", "StepsReady", "Watcher"]

# The first epochs, in which most happens, are looked at one by one, and then as many moments spread over the run.
LIVE_MOMENTS = 10

# What a run tells its callbacks while it goes on.
Report = Callable[[str, Any], None]


@dataclass(eq=False)
class Step:
    """The graph of a training step, and of scoring, for one choice of layers that learn."""

    train: Any
    predict: Any  # features at the boundary -> the target head's and the source head's answers
    optimizers: tuple[Any, ...]  # of the head and of the base

    def begin(self, head_rate: float, base_rate: float) -> None:
        """As if newly compiled: running means and counts of steps are 0."""
        for optimizer, rate in zip(self.optimizers, (head_rate, base_rate), strict=True):
            for variable in optimizer.variables:
                variable.assign(keras.ops.zeros_like(variable))
            optimizer.learning_rate = rate


class StepsReady:
    """The steps of a graph that a run finds ready, on examples in memory: nothing is built before the first one."""

    def __init__(self, model: keras.Model, train: Any) -> None:
        self.model, self._train, self._loss = model, train, 0.0

    def batches(self, split: Split, batch_size: int, seed: int | None) -> Any:
        """The batches of :func:`tlkit.training.fit`, in the same order."""
        return _Shuffled(split, batch_size, seed)

    def step(self, parts: Any) -> None:
        self._loss = float(self._train(*next(parts)))

    def score(self, parts: Any) -> None:
        raise AssertionError("an experiment scores both domains itself")

    def reset(self) -> None:
        pass  # there are no means

    def logs(self) -> dict[str, float]:
        return {"loss": self._loss}


class _Shuffled:
    """Batches ``(x, y)`` as tensors, in a new order each time they are gone through."""

    def __init__(self, split: Split, batch_size: int, seed: int | None) -> None:
        # Images as floats, which they are when they were augmented.
        self._x = tf.constant(split.x if split.is_text else split.x.astype(np.float32, copy=False))
        self._y, self._batch_size = tf.constant(split.y), batch_size
        self._rng = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        order = self._rng.permutation(len(self._y))
        for start in range(0, len(order), self._batch_size):
            chosen = order[start : start + self._batch_size]
            yield tf.gather(self._x, chosen), tf.gather(self._y, chosen)


class Watcher(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Tells of progress, looks at the scores now and then, and ends a run whose loss is no number."""

    def __init__(self, settings: Settings, per_epoch: int, look: Callable[[float], None], report: Report) -> None:
        super().__init__()
        self._settings, self._look, self._report = settings, look, report
        self.done, self.total = 0, settings.epochs * per_epoch
        self._began = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Tell of progress; raise ``FloatingPointError`` for a loss that is no number."""
        self.done += 1
        left = (time.monotonic() - self._began) / self.done * (self.total - self.done)  # at the pace so far
        self._report("progress", (self.done, self.total, left))
        loss = (logs or {})["loss"]
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss must be finite, got {loss} at batch {self.done}: the learning rate is too large "
                f"({self._settings.head_rate:g} for the head, {self._settings.base_rate:g} for the base)."
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Look at the scores after each of the first ten epochs, and at ten moments at most after that."""
        every, epochs = -(-self._settings.epochs // LIVE_MOMENTS), epoch + 1
        # After the last one come the test examples.
        if (epochs <= LIVE_MOMENTS or epochs % every == 0) and epochs < self._settings.epochs:
            self._look(epochs)
