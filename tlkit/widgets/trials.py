"""The experiment behind FreezeLab, without a screen: one backbone, trained anew or on, run after run.

What a run needs is kept from run to run: features at the boundary, and the graph of a training step for each choice of
frozen layers. So a second run begins at once, where ``fit`` would compile first.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tlkit._keras import keras, tf
from tlkit._keras.graph import all_layers, own_weights
from tlkit.audit.moved import watch
from tlkit.backbones import Backbone, layers_up_to
from tlkit.domains import DomainPair, Split, check_count
from tlkit.evaluation import accuracy, linear_probe
from tlkit.features import (
    cache_features,
    check_shape,
    lengths,
    longest,
    multiply_adds,
    padded_alike,
    split_at,
    without_padding,
)
from tlkit.freezing import freeze_to
from tlkit.heads import build_head, join, load_source_head
from tlkit.training import fit_probe

__all__ = ["Baselines", "Run", "Settings", "StageInfo", "Trials", "trainable_layers"]

BATCH_SIZE = 32

# Live scores: few examples, few moments, so that watching costs less than training. At 0.97 the standard error of 100
# examples is 1.7 points; the last score of a run is taken on the whole test set.
LIVE_TARGET, LIVE_SOURCE, LIVE_MOMENTS = 100, 50, 10
# With fewer held-out examples than this the test examples are watched.
LEAST_LIVE = 20

# A score of the whole model may cost this many multiply-adds (some seconds on two cores; the bundled images take less);
# larger models are scored on a part, the same one at every boundary, so that runs can be compared.
SCORE_MULTIPLY_ADDS = 4e11
LEAST_SCORED = 200
# Training from scratch is measured unasked up to this many multiply-adds (some ten seconds on two cores), and up to
# this many weights, of which it needs four more copies.
SCRATCH_MULTIPLY_ADDS, SCRATCH_WEIGHTS = 2e12, 5e6
SCRATCH_EPOCHS, SCRATCH_RATE = 30, 3e-4  # as in tlkit.demo

# Test features are kept in memory up to this size; at shallower boundaries the input runs through the whole backbone.
KEPT_BYTES = 200 * 2**20
# Training steps whose graphs are kept: one for each choice of layers that learn.
KEPT_STEPS = 8
# Training examples a class of a source without a bundled head, for the logistic regression that reads it.
SOURCE_PER_CLASS = 50


@dataclass(frozen=True)
class Settings:
    """What a learner chooses for a run.

    Args:
        frozen: Names of the backbone's layers with weights, BatchNorm left out, that stay as they are.
        train_batchnorm: BatchNorm learns, and moves its statistics, in each stage where a layer learns.
        per_class: Labels of each class, 1 or more.
        epochs: Passes over them, 1 or more.
        head_rate: Learning rate of the head, above 0.
        base_rate: Learning rate of the backbone's layers that learn, above 0.
        head_first: Begin with the best head on frozen features (a logistic regression) instead of a random one.
        views: Versions of each image: 1 is the image itself, more are augmented. Texts have no more than 1.
        from_pretrained: Begin from the pretrained weights and a new head; otherwise go on from the present ones.
    """

    frozen: frozenset[str]
    train_batchnorm: bool = False
    per_class: int = 10
    epochs: int = 20
    head_rate: float = 1e-3
    base_rate: float = 3e-4
    head_first: bool = False
    views: int = 1
    from_pretrained: bool = True


@dataclass(frozen=True, eq=False)
class Run:
    """What came out of a run.

    Args:
        number: From 1.
        boundary: Stages 1 to this one were frozen whole, and computed once.
        history: A row a moment: ``epoch`` (0 is before training), ``target`` and ``source`` (accuracies 0..1). The last
            row is on the test sets, the others on a few held-out examples.
        audit: As from :func:`tlkit.audit.audit_fit`.
        target: Accuracy on the target's test part, 0..1.
        source: Accuracy on the source's test part, 0..1, by the source's own head.
        seconds: From the start to the last score, features included.
        caching_seconds: Of these, for running the frozen part.
        batches: Training steps taken.
        stopped: Ended before its last batch.
    """

    number: int
    settings: Settings
    boundary: int
    history: pd.DataFrame
    audit: pd.DataFrame
    target: float
    source: float
    seconds: float
    caching_seconds: float
    batches: int
    stopped: bool


@dataclass(frozen=True)
class Baselines:
    """What runs are compared with: accuracies on the target's test part, 0..1; NaN where it cannot be, or is not yet.

    Args:
        raw: Logistic regression on the same labels' input as it is: pixels, or the TF-IDF of words.
        zero_shot: The source's head, when source and target have the same classes.
        scratch: The same network from random weights, all of it trained on the same labels.
        raw_name: What ``raw`` reads, in words.
    """

    raw: float
    zero_shot: float
    scratch: float = float("nan")
    raw_name: str = "raw pixels"


@dataclass(frozen=True)
class StageInfo:
    """A stage for the eye: what comes out of it, what it costs, and its layers that can be frozen one by one.

    In ``shape`` the number of a text's tokens is ``None``; ``multiply_adds`` are those of one image, or of one text of
    the target's mean length.
    """

    number: int
    end: str
    shape: tuple[int | None, ...]
    weights: int
    multiply_adds: int
    layers: tuple[str, ...]
    batchnorms: int


def trainable_layers(backbone: Backbone) -> dict[str, int]:
    """The layers that can be frozen one by one (those with weights, BatchNorm left out), with the stage of each."""
    return {
        layer.path: stage
        for stage, layers in _stage_layers(backbone).items()
        for layer in layers
        if own_weights(layer) and not _is_batchnorm(layer)
    }


def _is_batchnorm(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def _stage_layers(backbone: Backbone) -> dict[int, list[keras.layers.Layer]]:
    """All layers of each stage, those of nested models too, each in the first stage that needs it."""
    seen: set[int] = set()
    stages: dict[int, list[keras.layers.Layer]] = {}
    for stage in range(1, backbone.n_stages + 1):
        stages[stage] = []
        for outer in layers_up_to(backbone, stage):
            for layer in all_layers(outer):
                if id(layer) not in seen:
                    seen.add(id(layer))
                    stages[stage].append(layer)
    return stages


@dataclass(eq=False)
class _Step:
    """The graph of a training step, and of scoring, for one choice of layers that learn."""

    train: Any
    predict: Any  # features at the boundary -> the target head's and the source head's answers
    optimizers: tuple[Any, Any]

    def begin(self, head_rate: float, base_rate: float) -> None:
        """As if newly compiled: running means and counts of steps are 0."""
        for optimizer, rate in zip(self.optimizers, (head_rate, base_rate), strict=True):
            for variable in optimizer.variables:
                variable.assign(keras.ops.zeros_like(variable))
            optimizer.learning_rate = rate


@dataclass
class _Clock:
    """Seconds left, from the pace so far."""

    total: int
    began: float = field(default_factory=time.monotonic)

    def left(self, done: int) -> float:
        return (time.monotonic() - self.began) / max(done, 1) * (self.total - done)


# ipywidgets keeps every widget of a process alive, so a cell that is run again leaves its former lab behind. What can
# be computed again is therefore kept for one lab at a time.
_ALIVE: weakref.WeakSet[Trials] = weakref.WeakSet()

# What a run reports while it goes on: ("phase", words), ("progress", (batches done, of, seconds left)),
# ("point", (epoch, target, source)).
Report = Callable[[str, Any], None]


def _silent(_kind: str, _value: Any) -> None:
    pass


class Trials:
    """One backbone and its target head, trained run after run; the source's head reads what that leaves of the source.

    Weights change in place: ``backbone`` is the learner's own. One run at a time.

    Args:
        pair: Both domains; their images or texts are what the backbone takes.
        backbone: Its present weights count as the pretrained ones.
        seed: Draws the labels, the head's start, the order of batches and the augmentation.

    Attributes:
        tests: The test examples of target and source that scores are taken on: all, or where the backbone is large an
            even part of them.
        source_before: Accuracy of the pretrained weights on the source's test part, 0..1: what can be forgotten.
        zero_shot: The same, on the target's test part, by the source's head; NaN when the classes differ.
        is_text: Whether the domains hold texts.

    Raises:
        ValueError: The examples are not what the backbone takes, or a class has too few.
    """

    def __init__(self, pair: DomainPair, backbone: Backbone, *, seed: int = 0) -> None:
        for domain in (pair.source, pair.target):
            check_shape(backbone.model, domain.train)
            check_shape(backbone.model, domain.test)
        self._running = False
        self.pair, self.backbone, self.seed = pair, backbone, seed
        self.is_text = pair.target.train.is_text
        self._mean_length = round(float(np.mean(lengths(pair.target.train.x)))) if self.is_text else None
        self.layers = trainable_layers(backbone)
        self.stages = self._stage_infos()
        self.most_per_class = int(np.bincount(pair.target.train.y).min())
        self.head = build_head(backbone, len(pair.target.classes), seed=seed)
        self.model = join(backbone.model, self.head)
        self.runs: list[Run] = []
        self._pretrained = backbone.model.get_weights()
        self._new_head = self.head.get_weights()
        self._batchnorms = {
            stage: [layer for layer in layers if _is_batchnorm(layer)]
            for stage, layers in _stage_layers(backbone).items()
        }
        self._by_path = {layer.path: layer for layers in _stage_layers(backbone).values() for layer in layers}
        self._steps: OrderedDict[Any, _Step] = OrderedDict()
        self._reader: Any = None  # from the input to answers, where no step has that graph
        self._features: OrderedDict[Any, Split] = OrderedDict()
        self._raw: dict[int, float] = {}
        self._scratch: dict[int, float] = {}
        self._scratch_work: dict[int, Iterator[float | None]] = {}
        self._make_room()
        self.tests = self._scored_tests()
        # Taken now, while the weights are the pretrained ones.
        self._read_source()

    def _make_room(self) -> None:
        for other in list(_ALIVE):
            if other is not self and not other._running:
                other.forget()
        _ALIVE.add(self)

    def forget(self) -> None:
        """Give back what can be computed again: features, graphs, and a training from scratch half done."""
        self._features.clear()
        self._steps.clear()
        self._reader = None
        self._scratch_work.clear()

    # What can be frozen ---------------------------------------------------------------------------------------------

    def _stage_infos(self) -> tuple[StageInfo, ...]:
        infos = []
        for stage, layers in _stage_layers(self.backbone).items():
            own = [weight for layer in layers for weight in own_weights(layer)]
            infos.append(
                StageInfo(
                    number=stage,
                    end=self.backbone.stage_ends[stage - 1],
                    shape=tuple(self.backbone.boundary(stage).shape[1:]),
                    weights=sum(int(np.prod(weight.shape)) for weight in own),
                    multiply_adds=self._multiply_adds_between(stage - 1, stage),
                    layers=tuple(path for path, of in self.layers.items() if of == stage),
                    batchnorms=sum(_is_batchnorm(layer) for layer in layers),
                )
            )
        return tuple(infos)

    def _multiply_adds_between(self, low: int, high: int) -> int:
        def up_to(stage: int) -> int:
            return multiply_adds(split_at(self.backbone, stage)[0], length=self._mean_length) if stage else 0

        return up_to(high) - up_to(low)

    def frozen_to(self, stage: int) -> frozenset[str]:
        """The layers of stages 1 to ``stage``.

        Raises:
            ValueError: ``stage`` is out of range.
        """
        self.backbone.check_stage(stage)
        return frozenset(path for path, of in self.layers.items() if of <= stage)

    def boundary(self, frozen: frozenset[str]) -> int:
        """The last stage up to which every layer is frozen: that part need run only once."""
        learning = [stage for path, stage in self.layers.items() if path not in frozen]
        return min(learning, default=self.backbone.n_stages + 1) - 1

    def _set_flags(self, settings: Settings) -> None:
        # Where whole stages are frozen this is freeze_to; single layers are then set one by one.
        freeze_to(self.backbone, self.boundary(settings.frozen), train_batchnorm=settings.train_batchnorm)
        for path in self.layers:
            self._by_path[path].trainable = path not in settings.frozen
        for stage, batchnorms in self._batchnorms.items():
            learns = any(of == stage and path not in settings.frozen for path, of in self.layers.items())
            for layer in batchnorms:
                layer.trainable = settings.train_batchnorm and learns

    def check(self, settings: Settings) -> None:
        """Raise ``ValueError`` for settings that no run can have."""
        unknown = sorted(settings.frozen - set(self.layers))
        if unknown:
            raise ValueError(f"frozen layers must be of the {len(self.layers)} that have weights, got {unknown[0]!r}.")
        for name in ("per_class", "epochs", "views"):
            check_count(name, getattr(settings, name))
        if self.is_text and settings.views > 1:
            raise ValueError(f"views must be 1 for texts (only images are shifted and turned), got {settings.views}.")
        if settings.per_class > self.most_per_class:
            raise ValueError(f"per_class must be in 1..{self.most_per_class}, got {settings.per_class}.")
        for name in ("head_rate", "base_rate"):
            if not 0 < getattr(settings, name) < float("inf"):
                raise ValueError(f"{name} must be above 0, got {getattr(settings, name)!r}.")

    # Data -----------------------------------------------------------------------------------------------------------

    def _read_source(self) -> None:
        """The head that reads the source, where it comes from, in words, and what it reads of both test parts."""
        source, last = self.pair.source, self.backbone.n_stages
        wanted = {"test target": self.tests[0], "test source": self.tests[1]}
        try:
            self.source_head, self.source_head_from = load_source_head(self.backbone, source.classes), "bundled"
        except ValueError:  # none is bundled, or it does not know these classes: learn one
            per_class = min(SOURCE_PER_CLASS, int(np.bincount(source.train.y).min()))
            wanted["source labels"] = source.train.take(per_class, seed=self.seed)
            self.source_head = build_head(self.backbone, len(source.classes), seed=self.seed)
            self.source_head_from = f"a logistic regression on {per_class} labels a class of the source"
        target_test, source_test, *labels = self._all_at(last, wanted)
        if labels:
            fit_probe(self.source_head, labels[0])
        same = source.classes == self.pair.target.classes
        self.source_before = accuracy(self.source_head, source_test)
        self.zero_shot = accuracy(self.source_head, target_test) if same else float("nan")

    def _labels(self, per_class: int) -> Split:
        return self.pair.target.train.take(per_class, seed=self.seed)

    def _live(self, per_class: int) -> tuple[Split, Split]:
        """Held-out examples to watch: of the target's training part, so that no one stops by looking at the test."""
        target = self.pair.target
        # Nested samples: what take() gives after the labels are other examples.
        more = min(self.most_per_class, per_class + math.ceil(LIVE_TARGET / len(target.classes)))
        held_out = self._labels(more)[per_class * len(target.classes) :] if more > per_class else None
        if held_out is None or len(held_out) < LEAST_LIVE:
            held_out = target.test
        return _spread(held_out, LIVE_TARGET), _spread(self.pair.source.test, LIVE_SOURCE)

    def _at(self, stage: int, name: str, split: Split, *, views: int = 1) -> Split:
        """Features at a stage; kept in memory unless a former run has moved what lies before it."""
        key = (stage, name, views)
        if not self._trunk_is_pretrained(stage):
            return self._run_trunk(stage, split, views)
        if key not in self._features:
            self._features[key] = self._run_trunk(stage, split, views)
        return self._kept(key)

    def _all_at(self, stage: int, splits: dict[str, Split]) -> list[Split]:
        """As :meth:`_at`, in one pass: for a large backbone its graph takes as long to make as 100 texts to run."""
        pretrained = self._trunk_is_pretrained(stage)
        missing = {
            name: split for name, split in splits.items() if not pretrained or (stage, name, 1) not in self._features
        }
        found = {name: self._kept((stage, name, 1)) for name in splits if name not in missing}
        if missing:
            read = self._run_trunk(stage, _joined(list(missing.values())), 1)
            start = 0
            for name, split in missing.items():
                # A copy: a part alone would keep the whole in memory.
                found[name] = Split(read.x[start : start + len(split)].copy(), split.y)
                start += len(split)
                if pretrained:
                    self._features[stage, name, 1] = found[name]
                    self._kept((stage, name, 1))
        return [found[name] for name in splits]

    def _kept(self, key: tuple[int, str, int]) -> Split:
        """Features that are there, which from now on are the last to be given up."""
        self._features.move_to_end(key)
        while len(self._features) > 1 and sum(kept.x.nbytes for kept in self._features.values()) > 2 * KEPT_BYTES:
            self._features.popitem(last=False)
        return self._features[key]

    def _run_trunk(self, stage: int, split: Split, views: int) -> Split:
        trunk = split_at(self.backbone, stage)[0]
        augment = _augmentation(self.seed) if views > 1 else None
        return cache_features(trunk, split, views=views, augment=augment, seed=self.seed, cache_dir="memory")

    def _trunk_is_pretrained(self, boundary: int) -> bool:
        before = {id(weight) for layer in layers_up_to(self.backbone, boundary) for weight in layer.weights}
        pairs = zip(self.backbone.model.weights, self._pretrained, strict=True)
        return all(np.array_equal(weight.numpy(), start) for weight, start in pairs if id(weight) in before)

    # A run ----------------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """The pretrained weights again, exactly, and a new head."""
        self.backbone.model.set_weights(self._pretrained)
        self.head.set_weights(self._new_head)

    def run(self, settings: Settings, *, stop: threading.Event | None = None, report: Report = _silent) -> Run:
        """Train, score both domains, and compare the weights.

        Args:
            settings: See :class:`Settings`.
            stop: Once set, the run ends after the batch in progress; its weights are kept, and scored.
            report: Called in this thread while the run goes on.

        Raises:
            ValueError: Settings out of range; nothing has been trained then.
            FloatingPointError: The loss became NaN or infinite.
        """
        self.check(settings)
        self._make_room()
        self._running = True
        try:
            return self._run(settings, stop or threading.Event(), report)
        finally:
            self._running = False

    def _run(self, settings: Settings, stop: threading.Event, report: Report) -> Run:
        began = time.monotonic()
        boundary = self.boundary(settings.frozen)
        report("phase", "running the frozen part once" if boundary else "preparing")
        if settings.from_pretrained:
            self.reset()
        self._set_flags(settings)
        per_class, views = settings.per_class, settings.views
        labels, (live_target, live_source) = self._labels(per_class), self._live(per_class)
        once = {f"live target {per_class}": live_target, f"live source {per_class}": live_source}
        if views == 1:
            *live, train = self._all_at(boundary, once | {f"labels {per_class}": labels})
        else:
            live, train = self._all_at(boundary, once), self._at(boundary, f"labels {per_class}", labels, views=views)
        caching_seconds = time.monotonic() - began
        step = self._step(boundary)
        step.begin(settings.head_rate, settings.base_rate)
        if settings.from_pretrained and settings.head_first:
            self._best_head(boundary, train)
        watched = watch(backbone=self.backbone)
        watched.set_model(self.model)
        watched.on_train_begin()
        report("phase", "training")
        rows, batches, stopped = self._train(step, train, live, settings, stop, report)
        report("phase", f"scoring on the test {'texts' if self.is_text else 'images'}")
        target, source = self._final_scores(boundary, step)
        epoch = batches / -(-len(train) // BATCH_SIZE)
        rows = [row for row in rows if row[0] < epoch or not row[0]]
        rows.append((epoch, target, source))
        run = Run(
            number=len(self.runs) + 1,
            settings=settings,
            boundary=boundary,
            history=pd.DataFrame(rows, columns=["epoch", "target", "source"]),
            audit=watched.table,
            target=target,
            source=source,
            seconds=time.monotonic() - began,
            caching_seconds=caching_seconds,
            batches=batches,
            stopped=stopped,
        )
        self.runs.append(run)
        return run

    def _train(
        self, step: _Step, train: Split, live: list[Split], settings: Settings, stop: threading.Event, report: Report
    ) -> tuple[list[tuple[float, float, float]], int, bool]:
        """Rows of the history, batches done, and whether it was stopped."""
        rows: list[tuple[float, float, float]] = []

        def look(epoch: float) -> None:
            scores = self._answers(step.predict, live)
            rows.append((epoch, *scores))
            report("point", rows[-1])

        x, y = tf.constant(train.x.astype(_computed(train.x.dtype), copy=False)), tf.constant(train.y)
        per_epoch = -(-len(train) // BATCH_SIZE)
        total = settings.epochs * per_epoch
        every = -(-settings.epochs // LIVE_MOMENTS)
        rng = np.random.default_rng(self.seed)  # the order of batches is that of tlkit.training.fit
        look(0)
        clock, done = _Clock(total), 0
        for epoch in range(1, settings.epochs + 1):
            order = rng.permutation(len(train))
            for start in range(0, len(train), BATCH_SIZE):
                if stop.is_set():
                    return rows, done, True
                chosen = order[start : start + BATCH_SIZE]
                loss = float(step.train(tf.gather(x, chosen), tf.gather(y, chosen)))
                done += 1
                report("progress", (done, total, clock.left(done)))
                if not math.isfinite(loss):
                    raise FloatingPointError(
                        f"the loss must be finite, got {loss} at batch {done}: the learning rate is too large "
                        f"({settings.head_rate:g} for the head, {settings.base_rate:g} for the base)."
                    )
            if epoch % every == 0 and epoch < settings.epochs:  # after the last one come the test examples
                look(epoch)
        return rows, done, False

    def _best_head(self, boundary: int, train: Split) -> None:
        """The head of a logistic regression on the features as they are."""
        tail = split_at(self.backbone, boundary)[1]
        cut = self._cut_at(boundary)
        parts = (tf.constant(train.x[i : i + 256]) for i in range(0, len(train), 256))
        x = np.concatenate([tail(cut(part), training=False) for part in parts])
        fit_probe(self.head, Split(np.asarray(x, np.float32), train.y))

    def _step(self, boundary: int) -> _Step:
        key = (boundary, tuple(id(weight) for weight in self.model.trainable_weights))
        if key not in self._steps:
            self._steps[key] = self._build_step(boundary)
        self._steps.move_to_end(key)
        while len(self._steps) > KEPT_STEPS:
            self._steps.popitem(last=False)
        return self._steps[key]

    def _build_step(self, boundary: int) -> _Step:
        tail = split_at(self.backbone, boundary)[1]
        model = join(tail, self.head)
        base_weights, head_weights = list(tail.trainable_weights), list(self.head.trainable_weights)
        head_optimizer, base_optimizer = keras.optimizers.Adam(), keras.optimizers.Adam()
        head_optimizer.build(head_weights)
        base_optimizer.build(base_weights)
        loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        cut = self._cut_at(boundary)

        def train(x: Any, y: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = loss_of(y, model(cut(x), training=True))
            gradients = tape.gradient(loss, base_weights + head_weights)
            if base_weights:
                base_optimizer.apply(gradients[: len(base_weights)], base_weights)
            head_optimizer.apply(gradients[len(base_weights) :], head_weights)
            return loss

        signature = [self._input_of(tail, boundary), tf.TensorSpec((None,), tf.int64)]
        return _Step(
            train=tf.function(train, input_signature=signature).get_concrete_function(),
            predict=self._build_reader(tail, boundary),
            optimizers=(head_optimizer, base_optimizer),
        )

    def _build_reader(self, tail: keras.Model, boundary: int) -> Any:
        head, source_head, cut = self.head, self.source_head, self._cut_at(boundary)

        def predict(x: Any) -> Any:
            features = tail(cut(x), training=False)
            return tuple(tf.argmax(reader(features, training=False), axis=-1) for reader in (head, source_head))

        return tf.function(predict, input_signature=[self._input_of(tail, boundary)]).get_concrete_function()

    def _cut_at(self, boundary: int) -> Any:
        """What texts, as ids or as vectors of tokens, go through first: they are computed up to a batch's longest."""
        return without_padding if self.is_text and boundary < self.backbone.n_stages else tf.identity

    def _input_of(self, tail: keras.Model, boundary: int) -> Any:
        return tf.TensorSpec((None, *tail.input_shape[1:]), _computed(self._dtype(boundary)))

    def _dtype(self, boundary: int) -> Any:
        return self.pair.target.train.x.dtype if boundary == 0 else np.dtype(np.float32)

    # Scores ---------------------------------------------------------------------------------------------------------

    def _answers(self, predict: Any, splits: list[Split]) -> tuple[float, float]:
        """Accuracies of the target head on the first split and of the source head on the second."""
        scores = []
        for which, split in enumerate(splits):
            right = 0
            for start in range(0, len(split), 128):
                part = split[start : start + 128]
                right += int(np.sum(predict(tf.constant(part.x))[which].numpy() == part.y))
            scores.append(right / len(split))
        return scores[0], scores[1]

    def _final_scores(self, boundary: int, step: _Step) -> tuple[float, float]:
        tests = self.tests
        sizes = [tests[0].x.shape[1] if size is None else size for size in self.backbone.boundary(boundary).shape[1:]]
        size = sum(len(split) for split in tests) * 4 * int(np.prod(sizes))
        if boundary and size <= KEPT_BYTES:
            kept = self._all_at(boundary, {"test target": tests[0], "test source": tests[1]})
            return self._answers(step.predict, kept)
        if boundary and self._reader is None:  # scoring does not depend on what learns: one graph for all
            self._reader = self._build_reader(self.backbone.model, 0)
        return self._answers(self._reader if boundary else step.predict, list(tests))

    def _scored_tests(self) -> tuple[Split, Split]:
        """The test examples that scores are taken on: all, or as many as a few seconds allow, spread evenly."""
        cost = max(1, sum(info.multiply_adds for info in self.stages))
        most = max(LEAST_SCORED, int(SCORE_MULTIPLY_ADDS / cost))
        target, source = self.pair.target.test, self.pair.source.test
        total = len(target) + len(source)

        def part(split: Split) -> Split:
            chosen = split if total <= most else _spread(split, max(LEAST_SCORED // 2, most * len(split) // total))
            # Texts of like length run together, so that little padding runs.
            return chosen[np.argsort(lengths(chosen.x), kind="stable")] if self.is_text else chosen

        return part(target), part(source)

    def scored_words(self) -> str:
        """How many test examples a score is taken on, where it is not all of them; else nothing."""
        sides = (self.pair.target.test, self.pair.source.test)
        parts = [
            f"{len(part):,} of {len(whole):,} {name} test {'texts' if self.is_text else 'images'}"
            for name, part, whole in zip(("target", "source"), self.tests, sides, strict=True)
            if len(part) < len(whole)
        ]
        return f"Scored on {' and '.join(parts)}." if parts else ""

    # Baselines ------------------------------------------------------------------------------------------------------

    def baselines(self, per_class: int) -> Baselines:
        """What is known so far; the one on raw input is measured when it is not (less than a second)."""
        if per_class not in self._raw:
            self._raw[per_class] = linear_probe(self._labels(per_class), self.pair.target.test)
        scratch = self._scratch.get(per_class, float("nan"))
        return Baselines(self._raw[per_class], self.zero_shot, scratch, self.raw_name)

    @property
    def raw_name(self) -> str:
        """What the plainest baseline reads, in words."""
        return "TF-IDF" if self.is_text else "raw pixels"

    def scratch_is_cheap(self, per_class: int) -> bool:
        """Whether training from scratch is done unasked."""
        cost = 3 * sum(info.multiply_adds for info in self.stages)
        passes = per_class * len(self.pair.target.classes) * SCRATCH_EPOCHS
        return cost * passes <= SCRATCH_MULTIPLY_ADDS and self.backbone.model.count_params() <= SCRATCH_WEIGHTS

    def measure_scratch(self, per_class: int, *, interrupt: threading.Event | None = None) -> float | None:
        """The same network from random weights, all of it trained on the same labels: test accuracy, 0..1.

        Args:
            interrupt: Once set, the work pauses and ``None`` is returned; the next call goes on with it.
        """
        if per_class in self._scratch:
            return self._scratch[per_class]
        work = self._scratch_work.setdefault(per_class, self._scratch_training(per_class))
        for score in work:
            if score is not None:
                self._scratch[per_class] = score
                self._scratch_work.pop(per_class, None)
                return score
            if interrupt is not None and interrupt.is_set():
                return None
        raise AssertionError("the training from scratch ends with a score")

    def _scratch_training(self, per_class: int) -> Iterator[float | None]:
        core = keras.models.clone_model(self.backbone.model)
        seeds = itertools.count(self.seed)
        for layer in all_layers(core):
            layer.trainable = True
            _draw_anew(layer, seeds)
        model = join(core, build_head(self.backbone, len(self.pair.target.classes), seed=self.seed))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(SCRATCH_RATE), loss)
        few, test = self._labels(per_class), self.tests[0]
        if self.is_text:
            few, test = _cut(few), _cut(test)
        rng = np.random.default_rng(self.seed)
        for _ in range(SCRATCH_EPOCHS):
            order = rng.permutation(len(few))
            for start in range(0, len(few), BATCH_SIZE):
                chosen = order[start : start + BATCH_SIZE]
                model.train_on_batch(few.x[chosen], few.y[chosen])
                yield None
        right = 0
        for start in range(0, len(test), 128):
            answers = model.predict_on_batch(test.x[start : start + 128]).argmax(axis=-1)
            right += int(np.sum(answers == test.y[start : start + 128]))
            yield None
        yield right / len(test)

    # Tables ---------------------------------------------------------------------------------------------------------

    def describe_frozen(self, frozen: frozenset[str]) -> str:
        """What is frozen, in a few words: ``stages 1 to 3``, ``nothing``, ``everything``, or with single layers."""
        boundary = self.boundary(frozen)
        more = len(frozen - self.frozen_to(boundary))
        if not more and boundary in (0, self.backbone.n_stages):
            return "everything" if boundary else "nothing"
        stages = "" if not boundary else "stage 1" if boundary == 1 else f"stages 1 to {boundary}"
        layers = f"{more} layer{'s' * (more > 1)}" if more else ""
        return " and ".join(part for part in (stages, layers) if part)

    def table(self) -> pd.DataFrame:
        """A row a run, with its settings."""
        rows = [
            {
                "run": run.number,
                "frozen": self.describe_frozen(run.settings.frozen),
                "batchnorm": "learns" if run.settings.train_batchnorm else "held",
                "labels": run.settings.per_class,
                "epochs": run.settings.epochs,
                "head_rate": run.settings.head_rate,
                "base_rate": run.settings.base_rate,
                "order": "head first" if run.settings.head_first else "together",
                "views": run.settings.views,
                "start": "pretrained" if run.settings.from_pretrained else "went on",
                "target": run.target,
                "source": run.source,
                "stopped": run.stopped,
                "seconds": run.seconds,
            }
            for run in self.runs
        ]
        columns = (
            "run frozen batchnorm labels epochs head_rate base_rate order views start target source stopped seconds"
        )
        return pd.DataFrame(rows, columns=columns.split())


def _spread(split: Split, n: int) -> Split:
    """At most ``n`` examples, spread evenly over the split."""
    return split if len(split) <= n else split[np.unique(np.linspace(0, len(split) - 1, n).astype(int))]


def _joined(splits: list[Split]) -> Split:
    """All examples, one split after the other; texts are padded to the longest."""
    x = [split.x for split in splits]
    x = padded_alike(x) if splits[0].is_text else x
    return Split(np.concatenate(x), np.concatenate([split.y for split in splits]))


def _cut(texts: Split) -> Split:
    """The same texts without the padding behind the longest."""
    return Split(texts.x[:, : longest(texts.x)], texts.y)


def _computed(dtype: Any) -> Any:
    """What a graph computes with: half precision is only for storage."""
    return np.dtype(np.float32) if dtype == np.float16 else np.dtype(dtype)


def _draw_anew(layer: keras.layers.Layer, seeds: Iterator[int]) -> None:
    """Random weights as the layer draws them, from a seed of ours: Keras' global one belongs to the learner."""
    for name in ("kernel", "depthwise_kernel", "pointwise_kernel", "embeddings"):
        initializer, weight = getattr(layer, f"{name}_initializer", None), getattr(layer, name, None)
        if weight is not None and initializer is not None and "seed" in initializer.get_config():
            config = {**initializer.get_config(), "seed": next(seeds)}
            weight.assign(type(initializer).from_config(config)(weight.shape))


def _augmentation(seed: int) -> keras.Sequential:
    """Small shifts, turns and zooms: no flip, since a flipped 2 is no 2 (notebook 06)."""
    seeds = itertools.count(seed)
    return keras.Sequential(
        [
            keras.layers.RandomRotation(0.04, fill_mode="constant", seed=next(seeds)),
            keras.layers.RandomTranslation(0.08, 0.08, fill_mode="constant", seed=next(seeds)),
            keras.layers.RandomZoom(0.1, fill_mode="constant", seed=next(seeds)),
        ],
        name="views",
    )
