"""The class, and what it keeps from run to run."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tlkit._keras import keras, tf
from tlkit._keras.graph import own_weights
from tlkit._keras.tracing import graph_of
from tlkit._steps import OneDevice, descend, interrupts_held, run_epochs
from tlkit.audit.moved import watch
from tlkit.backbones import Backbone, check_backbone, draw_weights, layers_up_to, stage_layers
from tlkit.backbones.graph import check_model, copying
from tlkit.domains import Domain, DomainPair, Split, check_count, check_rate, check_seed
from tlkit.evaluation import accuracy, predict_classes
from tlkit.experiment.script import keras_script, write_script
from tlkit.experiment.settings import BATCH_SIZE, Baselines, Run, Settings, StageInfo
from tlkit.experiment.steps import Report, Step, StepsReady, Watcher
from tlkit.features import (
    Form,
    cache_features,
    check_shape,
    lengths,
    longest,
    multiply_adds_of,
    padded_alike,
    reads_any_length,
    split_at,
    without_padding,
)
from tlkit.files.paths import check_path
from tlkit.files.store import array_digest
from tlkit.freezing import OneAtATime, check_names, freeze_layers, is_batchnorm, trainable_layers, unfreeze
from tlkit.heads import build_head, join, load_source_head, source_classes
from tlkit.probe import fit_probe, linear_probe
from tlkit.words import counted

__all__ = ["Experiment"]

# Live scores: few examples, so that watching costs less than training. At 0.97 the standard error of 100
# examples is 1.7 points; the last score of a run is taken on the whole test set.
LIVE_TARGET, LIVE_SOURCE = 100, 50
# With fewer held-out examples than this the test examples are watched.
LEAST_LIVE = 20

# A score of the whole model may cost this many multiply-adds (some seconds on two cores; the bundled images take less);
# larger models are scored on a part, the same one at every boundary, so that runs can be compared.
SCORE_MULTIPLY_ADDS = 4e11
LEAST_SCORED = 200
# Training from scratch is measured unasked up to this many multiply-adds (some twenty seconds on two cores), and up to
# this many weights, of which it needs four more copies. EfficientNet-Lite0 on 100 photographs at 160 px has 1.8e12, and
# its depthwise layers take longer than their number says: each batch of it would keep the next run waiting.
SCRATCH_MULTIPLY_ADDS, SCRATCH_WEIGHTS = 1e12, 5e6
SCRATCH_EPOCHS, SCRATCH_RATE = 30, 3e-4  # as in tlkit.demo

# Test features are kept in memory up to this size; at shallower boundaries the input runs through the whole backbone.
KEPT_BYTES = 200 * 2**20
# Training steps whose graphs are kept: one for each choice of layers that learn.
KEPT_STEPS = 8
# Training examples per class of a source without a bundled head, for the logistic regression that reads it.
SOURCE_PER_CLASS = 50


class Experiment:
    """One backbone and its target head, trained run after run; the source's head reads what that leaves of the source.

    Weights change in place: ``backbone`` is the learner's own. One run at a time, of whichever
    experiment on these weights. With :class:`Settings`' ``seed`` a
    comparison gets as many draws of labels as it needs, without a new graph.

    The source's data cannot always be had: ImageNet's photographs may not be passed on. Then give the target alone.
    What is read as the source are the target's own test examples, and the source's score is the agreement with the
    pretrained network: the share of them to which the source's head still gives its old answer, the most likely of
    all its classes (1,000 for ImageNet). Nothing is trained on these examples. Agreement is no accuracy: an old answer
    may have been wrong. What is missing to 1 is known as prediction churn (Milani Fard et al., 2016).

    Args:
        pair: Both domains; their images or texts are what the backbone takes. Or the target alone, for a bundled
            backbone whose source cannot be had.
        backbone: Its present weights count as the pretrained ones.
        seed: Draws the labels, the head's start, the order of batches and the augmentation.

    Attributes:
        target: The target domain.
        source: The source domain; ``None`` where the target was given alone.
        model: Backbone and target head as they are now: raw images, or token ids, to logits.
        head: The target's head.
        source_head: The head that reads the source; ``source_head_from`` says in words where it comes from.
        layers: The layers that can be frozen one by one, with the stage of each.
        stages: A :class:`StageInfo` a stage.
        runs: All runs, the first one first.
        tests: The test examples of target and source that scores are taken on: all, or where the backbone is large an
            even part of them. Without a source, its examples are the target's, labelled with the old answers.
        source_before: Accuracy of the pretrained weights on the source's test part, 0..1: what can be forgotten.
            Without a source 1: each old answer agrees with itself.
        zero_shot: The same, on the target's test part, by the source's head; NaN when the classes differ.
        is_text: Whether the domains hold texts.

    Raises:
        ValueError: The examples are not what the backbone takes, a class has too few, or the target was given alone
            for a backbone whose source head is not bundled.
    """

    def __init__(self, pair: DomainPair | Domain, backbone: Backbone, *, seed: int = 0) -> None:
        check_backbone(backbone)
        check_seed(seed)
        if not isinstance(pair, (Domain, DomainPair)):
            raise ValueError(f"pair must be a DomainPair, or the target's Domain alone, got {type(pair).__name__}.")
        self.source: Domain | None = None if isinstance(pair, Domain) else pair.source
        self.target: Domain = pair if isinstance(pair, Domain) else pair.target
        for domain in (self.source, self.target):
            if domain is not None:
                check_shape(backbone.model, domain.train)
                check_shape(backbone.model, domain.test)
        if self.source is None:
            _check_own_head(backbone)
        self.backbone, self.seed = backbone, seed
        self.is_text = self.target.train.is_text
        self._mean_length = round(float(np.mean(lengths(self.target.train.x)))) if self.is_text else None
        self.layers = trainable_layers(backbone)
        self.stages = self._stage_infos()
        self.most_per_class = int(np.bincount(self.target.train.y).min())
        self.head = build_head(backbone, len(self.target.classes), seed=seed)
        self.model = join(backbone.model, self.head)
        self.runs: list[Run] = []
        self._pretrained = backbone.model.get_weights()
        self._steps: OrderedDict[Any, Step] = OrderedDict()
        self._readers: dict[int, Any] = {}  # graphs from a boundary to answers, whatever learns behind it
        self._trunks: dict[int, keras.Model] = {}
        self._form = Form(backbone.model)  # of which features and graphs are kept
        self._features: OrderedDict[Any, Split] = OrderedDict()
        self._raw: dict[int, float] = {}
        self._scratch: dict[int, float] = {}
        self._scratch_work: dict[int, Iterator[float | None]] = {}
        self.tests = self._scored_tests()
        # Taken now, while the weights are the pretrained ones.
        self._read_source()

    @property
    def kept_bytes(self) -> int:
        """Bytes of the features that are kept in memory; :meth:`forget` gives them back, and graphs with them."""
        return sum(kept.x.nbytes for kept in self._features.values())

    @property
    def kept_steps(self) -> int:
        """How many choices of layers have their training step at hand: their next run builds no graph."""
        return len(self._steps)

    def forget(self) -> None:
        """Give back what can be computed again: features, graphs, and a training from scratch half done."""
        self._features.clear()
        self._steps.clear()
        self._readers.clear()
        self._trunks.clear()
        self._scratch_work.clear()

    # What can be frozen ---------------------------------------------------------------------------------------------

    def _stage_infos(self) -> tuple[StageInfo, ...]:
        infos = []
        for stage, layers in stage_layers(self.backbone).items():
            own = [weight for layer in layers for weight in own_weights(layer)]
            infos.append(
                StageInfo(
                    number=stage,
                    end=self.backbone.stage_ends[stage - 1],
                    shape=tuple(self.backbone.boundary(stage).shape[1:]),
                    weights=sum(int(np.prod(weight.shape)) for weight in own),
                    multiply_adds=multiply_adds_of(layers, length=self._mean_length),
                    layers=tuple(path for path, of in self.layers.items() if of == stage),
                    batchnorms=sum(is_batchnorm(layer) for layer in layers),
                )
            )
        return tuple(infos)

    def frozen_to(self, stage: int) -> frozenset[str]:
        """The layers of stages 1 to ``stage``.

        Raises:
            ValueError: ``stage`` is out of range.
        """
        self.backbone.check_stage(stage)
        return frozenset(path for path, of in self.layers.items() if of <= stage)

    def names(self, frozen: int | frozenset[str]) -> frozenset[str]:
        """What is frozen, as names of layers.

        Raises:
            ValueError: A stage out of range, or a name that is none of ``layers``.
        """
        if not isinstance(frozen, frozenset):
            return self.frozen_to(frozen)
        check_names(frozen, self.layers)
        return frozen

    def boundary(self, frozen: int | frozenset[str]) -> int:
        """The last stage up to which nothing learns: that part need run only once."""
        names = self.names(frozen)
        learning = [stage for path, stage in self.layers.items() if path not in names]
        return min(learning, default=self.backbone.n_stages + 1) - 1

    def check(self, settings: Settings) -> None:
        """Raise ``ValueError`` for settings that no run can have; ``RuntimeError`` in a fork, where none can be."""
        check_model(self.model)
        self.names(settings.frozen)
        for name in ("per_class", "epochs", "views"):
            check_count(name, getattr(settings, name))
        if self.is_text and settings.views > 1:
            raise ValueError(f"views must be 1 for texts (only images are shifted and turned), got {settings.views}.")
        if settings.per_class > self.most_per_class:
            raise ValueError(f"per_class must be in 1..{self.most_per_class}, got {settings.per_class}.")
        for name in ("head_rate", "base_rate"):
            check_rate(name, getattr(settings, name))
        check_seed(self.seed_of(settings))

    def seed_of(self, settings: Settings) -> int:
        """What a run of these settings draws by."""
        return self.seed if settings.seed is None else settings.seed

    # Data -----------------------------------------------------------------------------------------------------------

    def _read_source(self) -> None:
        """The head that reads the source, where it comes from, in words, and what it reads of both test parts."""
        source, last = self.source, self.backbone.n_stages
        if source is None:
            self.source_head, self.source_head_from = load_source_head(self.backbone), "bundled"
            (features,) = self._all_at(last, self.tests[:1], pretrained=True)  # nothing has been trained yet
            self.tests = (self.tests[0], Split(self.tests[0].x, predict_classes(self.source_head, features)))
            self.source_before, self.zero_shot = 1.0, float("nan")
            return
        wanted = list(self.tests)
        try:
            self.source_head, self.source_head_from = load_source_head(self.backbone, source.classes), "bundled"
        except ValueError:  # none is bundled, or it does not know these classes: learn one
            per_class = min(SOURCE_PER_CLASS, int(np.bincount(source.train.y).min()))
            wanted.append(source.train.take(per_class, seed=self.seed))
            self.source_head = build_head(self.backbone, len(source.classes), seed=self.seed)
            self.source_head_from = f"a logistic regression on {per_class} labels per class of the source"
        target_test, source_test, *labels = self._all_at(last, wanted, pretrained=True)
        if labels:
            fit_probe(self.source_head, labels[0])
        same = source.classes == self.target.classes
        self.source_before = accuracy(self.source_head, source_test)
        self.zero_shot = accuracy(self.source_head, target_test) if same else float("nan")

    def labels(self, per_class: int, *, seed: int | None = None) -> Split:
        """The labelled target examples that a run learns from: ``per_class`` of each class, raw."""
        return self.target.train.take(per_class, seed=self.seed if seed is None else seed)

    def held_out(self, per_class: int, *, seed: int | None = None) -> tuple[Split, Split]:
        """Examples of target and source to watch.

        The target's are of its training part, so that no one stops by looking at the test.
        """
        target = self.target
        # Nested samples: what take() gives after the labels are other examples.
        more = min(self.most_per_class, per_class + math.ceil(LIVE_TARGET / len(target.classes)))
        held_out = self.labels(more, seed=seed)[per_class * len(target.classes) :] if more > per_class else None
        if held_out is None or len(held_out) < LEAST_LIVE:
            held_out = target.test
        if self.source is None:  # most often these are the examples of the last score: no others have to be computed
            return _spread(held_out, LIVE_TARGET), _spread(self.tests[1], LIVE_TARGET)
        return _spread(held_out, LIVE_TARGET), _spread(self.source.test, LIVE_SOURCE)

    def _views_at(self, stage: int, split: Split, *, views: int, seed: int, pretrained: bool) -> Split:
        """Features of augmented views at a stage; kept in memory unless a former run has moved what lies before it."""
        key = (stage, f"{array_digest(split.x)} by {seed}", views)
        if not pretrained:
            return self._run_trunk(stage, split, views, seed)
        if key not in self._features:
            self._features[key] = self._run_trunk(stage, split, views, seed)
        return self._kept(key)

    def _all_at(self, stage: int, splits: Sequence[Split], *, pretrained: bool) -> list[Split]:
        """Features at a stage, in one pass: for a large backbone its graph takes as long to make as 100 texts to run.

        They are kept in memory, by what the examples are, unless a former run has moved what lies before the stage.
        """
        keys = [(stage, array_digest(split.x), 1) for split in splits]
        missing = {
            key: split for key, split in zip(keys, splits, strict=True) if not pretrained or key not in self._features
        }
        found = {key: self._kept(key) for key in keys if key not in missing}
        if missing:
            read = self._run_trunk(stage, _joined(list(missing.values())))
            start = 0
            for key, split in missing.items():
                # Parts of one array, since copies would hold everything twice for a moment: they are used together.
                found[key] = Split(read.x[start : start + len(split)], split.y)
                start += len(split)
                if pretrained:
                    self._features[key] = found[key]
                    self._kept(key)
        return [Split(found[key].x, split.y) for key, split in zip(keys, splits, strict=True)]

    def _kept(self, key: tuple[int, str, int]) -> Split:
        """Features that are there, which from now on are the last to be given up."""
        self._features.move_to_end(key)
        while len(self._features) > 1 and self.kept_bytes > 2 * KEPT_BYTES:
            self._features.popitem(last=False)
        return self._features[key]

    def _run_trunk(self, stage: int, split: Split, views: int = 1, seed: int = 0) -> Split:
        if stage not in self._trunks:  # one model for each stage, with which its graph stays
            self._trunks[stage] = split_at(self.backbone, stage)[0]
        augment = _augmentation(seed) if views > 1 else None
        return cache_features(self._trunks[stage], split, views=views, augment=augment, seed=seed, cache_dir="memory")

    def _trunk_is_pretrained(self, boundary: int) -> bool:
        before = {id(weight) for layer in layers_up_to(self.backbone, boundary) for weight in layer.weights}
        pairs = zip(self.backbone.model.weights, self._pretrained, strict=True)
        return all(np.array_equal(weight.numpy(), start) for weight, start in pairs if id(weight) in before)

    # A run ----------------------------------------------------------------------------------------------------------

    def reset(self, *, seed: int | None = None) -> None:
        """The pretrained weights again, exactly, and a new head, drawn by ``seed`` (``None``: the experiment's own).

        Raises:
            RuntimeError: Another training moves these weights now.
        """
        with self._alone():
            self._reset(seed)

    def _reset(self, seed: int | None) -> None:
        head = self.new_head(self.seed if seed is None else seed)
        self.backbone.model.set_weights(self._pretrained)
        self.head.set_weights(head.get_weights())

    def _alone(self) -> OneAtATime:
        return OneAtATime(self.backbone.name, [*self.backbone.model.weights, *self.head.weights])

    def new_head(self, seed: int) -> keras.Model:
        """A head that has learned nothing, as the runs of this seed begin with."""
        return build_head(self.backbone, len(self.target.classes), seed=seed)

    def pretrained_model(self) -> keras.Model:
        """A copy of the backbone's model with the pretrained weights."""
        with copying(self.backbone.model):
            model = keras.models.clone_model(self.backbone.model)
        model.set_weights(self._pretrained)
        return model

    def run(self, settings: Settings, *, stop: threading.Event | None = None, callbacks: Sequence[Report] = ()) -> Run:
        """Train, score both domains, and compare the weights.

        Args:
            settings: See :class:`Settings`.
            stop: Once set, the run ends after the batch in progress; its weights are kept, and scored.
            callbacks: Called in this thread while the run goes on, with a word and a value: ``("phase", words)``,
                ``("progress", (batches done, of, seconds left))``, ``("point", (epoch, target, source))``.

        Raises:
            ValueError: Settings out of range; nothing has been trained then.
            RuntimeError: Another experiment, or a ``fit``, trains the same weights now.
            FloatingPointError: The loss became NaN or infinite.
        """
        self.check(settings)

        def report(kind: str, value: Any) -> None:
            for callback in callbacks:
                callback(kind, value)

        with self._alone():
            return self._run(settings, stop or threading.Event(), report)

    def _run(self, settings: Settings, stop: threading.Event, report: Report) -> Run:
        began = time.monotonic()
        if not self._form.same(form := Form(self.backbone.model)):  # a layer was changed by hand: nothing kept is of it
            self.forget()
            self._form = form
        boundary = self.boundary(settings.frozen)
        report("phase", "running the frozen part once" if boundary else "preparing")
        if settings.from_pretrained:
            self._reset(settings.seed)
        freeze_layers(self.backbone, self.names(settings.frozen), train_batchnorm=settings.train_batchnorm)
        # What lies before the boundary stays as it is in a run; looking at all its weights twice would take longer than
        # a head's training.
        pretrained = settings.from_pretrained or self._trunk_is_pretrained(boundary)
        train, *live = self._examples(settings, boundary, pretrained=pretrained)
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
        target, source = self._final_scores(boundary, step, pretrained=pretrained)
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

    def shown(self, settings: Settings) -> Split:
        """The raw examples that a run of these settings learns from; with ``views`` above 1 the augmented ones."""
        seed = self.seed_of(settings)
        few = self.labels(settings.per_class, seed=seed)
        return few if settings.views == 1 else self._run_trunk(0, few, settings.views, seed)

    def _examples(self, settings: Settings, boundary: int, *, pretrained: bool) -> list[Split]:
        """Features at the boundary: what is learnt from, and what is watched of target and source."""
        seed = self.seed_of(settings)
        few = self.labels(settings.per_class, seed=seed)
        live = self.held_out(settings.per_class, seed=seed)
        if settings.views == 1:
            return self._all_at(boundary, [few, *live], pretrained=pretrained)
        train = self._views_at(boundary, few, views=settings.views, seed=seed, pretrained=pretrained)
        return [train, *self._all_at(boundary, live, pretrained=pretrained)]

    def _train(
        self, step: Step, train: Split, live: list[Split], settings: Settings, stop: threading.Event, report: Report
    ) -> tuple[list[tuple[float, float, float]], int, bool]:
        """Rows of the history, batches done, and whether it was stopped."""
        rows: list[tuple[float, float, float]] = []

        def look(epoch: float) -> None:
            scores = self._answers(step.predict, live)
            rows.append((epoch, *scores))
            report("point", rows[-1])

        watcher = Watcher(settings, -(-len(train) // BATCH_SIZE), look, report)
        seed = self.seed_of(settings)
        look(0)
        if stop.is_set():
            return rows, 0, True
        ready = StepsReady(self.model, step.train)
        with interrupts_held() as look_for_interrupts:
            for _ in run_epochs(
                ready, train, epochs=settings.epochs, batch_size=BATCH_SIZE, seed=seed, callbacks=[watcher]
            ):
                look_for_interrupts()
                if stop.is_set():
                    break
        return rows, watcher.done, watcher.done < watcher.total

    def _best_head(self, boundary: int, train: Split) -> None:
        """The head of a logistic regression on the features as they are."""
        tail = split_at(self.backbone, boundary)[1]
        cut = self._cut_before(tail)
        parts = (tf.constant(train.x[i : i + 256]) for i in range(0, len(train), 256))
        x = np.concatenate([tail(cut(part), training=False) for part in parts])
        fit_probe(self.head, Split(np.asarray(x, np.float32), train.y))

    def _step(self, boundary: int) -> Step:
        key = (boundary, tuple(id(weight) for weight in self.model.trainable_weights))
        if key not in self._steps:
            self._steps[key] = self._build_step(boundary)
        self._steps.move_to_end(key)
        while len(self._steps) > KEPT_STEPS:
            self._steps.popitem(last=False)
            kept = {0} | {at for at, _ in self._steps}
            self._readers = {at: reader for at, reader in self._readers.items() if at in kept}
        return self._steps[key]

    def _build_step(self, boundary: int) -> Step:
        tail = split_at(self.backbone, boundary)[1]
        model = join(tail, self.head)
        groups = [(keras.optimizers.Adam(), list(part.trainable_weights)) for part in (self.head, tail)]
        for optimizer, weights in groups:
            optimizer.build(weights)
        loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        cut = self._cut_before(tail)

        def train(x: Any, y: Any) -> Any:
            return descend(lambda: loss_of(y, model(cut(x), training=True)), groups)

        signature = [self._input_of(tail, boundary, training=True), tf.TensorSpec((None,), tf.int64)]
        return Step(
            train=graph_of(train, signature).get_concrete_function(),
            predict=self._reader(boundary),
            optimizers=tuple(optimizer for optimizer, _ in groups),
        )

    def _reader(self, boundary: int) -> Any:
        """From what is at a boundary to both heads' answers: what learns does not matter, so one graph for all."""
        if boundary not in self._readers:
            tail = split_at(self.backbone, boundary)[1]
            cut = self._cut_before(tail)
            head, source_head = self.head, self.source_head

            def predict(x: Any) -> Any:
                features = tail(cut(x), training=False)
                return tuple(tf.argmax(reader(features, training=False), axis=-1) for reader in (head, source_head))

            signature = [self._input_of(tail, boundary)]
            self._readers[boundary] = graph_of(predict, signature).get_concrete_function()
        return self._readers[boundary]

    def _cut_before(self, tail: keras.Model) -> Any:
        """What texts, as ids or as vectors of tokens, go through first: they are computed up to a batch's longest."""
        return without_padding if self.is_text and reads_any_length(tail) else tf.identity

    def _input_of(self, tail: keras.Model, boundary: int, *, training: bool = False) -> Any:
        """What a graph takes: features, or at stage 0 what is raw; to train on, images as augmentation leaves them."""
        raw = boundary == 0 and (self.is_text or not training)
        return tf.TensorSpec((None, *tail.input_shape[1:]), self.target.train.x.dtype if raw else "float32")

    # Scores ---------------------------------------------------------------------------------------------------------

    def _answers(self, predict: Any, splits: list[Split]) -> tuple[float, float]:
        """Accuracies of the target head on the first split and of the source head on the second."""
        target, source = splits
        # Without a source both may be the same examples, which are read once.
        same = target.x.shape == source.x.shape and np.may_share_memory(target.x, source.x)
        right = [0, 0]
        for split, whose in [(target, (0, 1))] if same else [(target, (0,)), (source, (1,))]:
            for start in range(0, len(split), 128):
                answers = predict(tf.constant(split.x[start : start + 128]))
                for which in whose:
                    right[which] += int(np.sum(answers[which].numpy() == splits[which].y[start : start + 128]))
        return right[0] / len(target), right[1] / len(source)

    def _final_scores(self, boundary: int, step: Step, *, pretrained: bool) -> tuple[float, float]:
        tests = self.tests
        sizes = [tests[0].x.shape[1] if size is None else size for size in self.backbone.boundary(boundary).shape[1:]]
        size = sum(len(split) for split in tests) * 4 * int(np.prod(sizes))
        if boundary and size <= KEPT_BYTES:
            return self._answers(step.predict, self._all_at(boundary, tests, pretrained=pretrained))
        return self._answers(self._reader(0), list(tests))

    def _scored_tests(self) -> tuple[Split, Split]:
        """The test examples that scores are taken on: all, or as many as a few seconds allow, spread evenly."""
        cost = max(1, sum(info.multiply_adds for info in self.stages))
        most = max(LEAST_SCORED, int(SCORE_MULTIPLY_ADDS / cost))
        target = self.target.test
        # Without a source its examples are the target's, which are computed once.
        source = target if self.source is None else self.source.test
        total = len(target) + (0 if self.source is None else len(source))

        def part(split: Split) -> Split:
            chosen = split if total <= most else _spread(split, max(LEAST_SCORED // 2, most * len(split) // total))
            # Texts of like length run together, so that little padding runs.
            return chosen[np.argsort(lengths(chosen.x), kind="stable")] if self.is_text else chosen

        return part(target), part(source)

    def scored_words(self) -> str:
        """How many test examples a score is taken on, where it is not all of them; else nothing."""
        sides = {"target": self.target.test} | ({} if self.source is None else {"source": self.source.test})
        parts = [
            f"{len(part):,} of {len(whole):,} {name} test {'texts' if self.is_text else 'images'}"
            for (name, whole), part in zip(sides.items(), self.tests, strict=False)
            if len(part) < len(whole)
        ]
        return f"Scored on {' and '.join(parts)}." if parts else ""

    # Baselines ------------------------------------------------------------------------------------------------------

    def baselines(self, per_class: int) -> Baselines:
        """What is known so far; the one on raw input is measured when it is not (less than a second)."""
        if per_class not in self._raw:
            self._raw[per_class] = linear_probe(self.labels(per_class), self.target.test)
        scratch = self._scratch.get(per_class, float("nan"))
        return Baselines(self._raw[per_class], self.zero_shot, scratch, self.raw_name)

    @property
    def raw_name(self) -> str:
        """What the plainest baseline reads, in words."""
        return "TF-IDF" if self.is_text else "raw pixels"

    def scratch_is_cheap(self, per_class: int) -> bool:
        """Whether training from scratch is done unasked."""
        cost = 3 * sum(info.multiply_adds for info in self.stages)
        passes = per_class * len(self.target.classes) * SCRATCH_EPOCHS
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
        with copying(self.backbone.model):
            core = keras.models.clone_model(self.backbone.model)
        unfreeze(core)
        draw_weights(core, self.seed)
        model = join(core, build_head(self.backbone, len(self.target.classes), seed=self.seed))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(SCRATCH_RATE), loss)
        few, test = self.labels(per_class), self.tests[0]
        if self.is_text:
            few, test = _cut(few), _cut(test)
        steps = OneDevice(model)
        yield from run_epochs(steps, few, epochs=SCRATCH_EPOCHS, batch_size=BATCH_SIZE, seed=self.seed)
        right = 0
        for start in range(0, len(test), 128):
            answers = model.predict_on_batch(test.x[start : start + 128]).argmax(axis=-1)
            right += int(np.sum(answers == test.y[start : start + 128]))
            yield None
        yield right / len(test)

    # In plain Keras -------------------------------------------------------------------------------------------------

    def to_keras(self, run: Run) -> str:
        """A short program of plain Keras that does what the run did, without tlkit.

        Raises:
            ValueError: The run cannot be written so: it was stopped, went on from another, or is on texts; or the
                backbone has added layers (:mod:`tlkit.efficient`) or nested models.
        """
        return keras_script(self, run)

    def save_keras(self, run: Run, folder: str | Path) -> Path:
        """Write :meth:`to_keras` and the files that it reads into a folder; returns the program's path.

        Raises:
            ValueError: As from :meth:`to_keras`.
        """
        return write_script(self, run, check_path("folder", folder, "a folder"))

    # Tables ---------------------------------------------------------------------------------------------------------

    def describe_frozen(self, frozen: int | frozenset[str]) -> str:
        """What is frozen, in a few words: ``stages 1 to 3``, ``nothing``, ``everything``, or with single layers."""
        boundary = self.boundary(frozen)
        more = len(self.names(frozen) - self.frozen_to(boundary))
        if not more and boundary in (0, self.backbone.n_stages):
            return "everything" if boundary else "nothing"
        stages = "" if not boundary else "stage 1" if boundary == 1 else f"stages 1 to {boundary}"
        layers = counted(more, "layer") if more else ""
        return " and ".join(part for part in (stages, layers) if part)

    @property
    def results(self) -> pd.DataFrame:
        """A row per run: its settings, ``target`` and ``source`` accuracy on the test parts (0..1), ``seconds``.

        Without a source ``source`` is the share of old answers that stay.
        """
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


def _check_own_head(backbone: Backbone) -> None:
    """Raise ``ValueError`` for a backbone whose old answers cannot be asked for."""
    try:
        source_classes(backbone)
    except ValueError as error:
        raise ValueError(f"a target can be given alone where the source's head is bundled: {error}") from None


def _joined(splits: list[Split]) -> Split:
    """All examples, one split after the other; texts are padded to the longest."""
    x = [split.x for split in splits]
    x = padded_alike(x) if splits[0].is_text else x
    return Split(np.concatenate(x), np.concatenate([split.y for split in splits]))


def _cut(texts: Split) -> Split:
    """The same texts without the padding behind the longest."""
    return Split(texts.x[:, : longest(texts.x)], texts.y)


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
