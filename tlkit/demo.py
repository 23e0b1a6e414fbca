"""The bundled experiment: does what a ResNet learned from printed characters help it read handwriting?

On photographs the network is EfficientNet-Lite0 with ImageNet's weights. The data of its source cannot be bundled, and
to train all of it takes long without an accelerator: raw pixels, random features and frozen remain.

Every method sees the same few labels of the target, drawn anew for each seed, and is scored on the same test images,
which no training and no choice has seen. Nothing is read from or left in the feature store, so that the seconds are
those of the work itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tlkit._keras import keras
from tlkit.backbones import Backbone, load_backbone
from tlkit.clothes import load_clothes
from tlkit.domains import DIGIT_DOMAINS, PHOTO_TARGETS, Domain, Split, load_pair
from tlkit.evaluation import PairScores, accuracy, mean_interval
from tlkit.features import cache_features, split_at
from tlkit.files.course import course_folder
from tlkit.folders import load_folder
from tlkit.freezing import count_weights, freeze_to
from tlkit.heads import build_head, join, load_source_head
from tlkit.probe import fit_probe, linear_probe
from tlkit.training import fit
from tlkit.words import nearest_name

__all__ = ["METHODS", "PHOTO_METHODS", "methods_for", "photos_folder", "run_demo", "summarise"]

METHODS = ("raw pixels", "random features", "zero-shot", "from scratch", "small, from scratch", "frozen", "fine-tuned")
PHOTO_METHODS = ("raw pixels", "random features", "frozen")

# Chosen on training images of mnist by tools/scratch_tables.py.
SMALL_SETTING: dict[str, Any] = {"epochs": 200, "learning_rate": 2e-3, "batch_size": 25}

SIDE = 160  # pixels of a photograph: the size of the bundled ones


@dataclass(frozen=True)
class _Task:
    """What one seed works on; ``frozen_test`` is the target's test part behind the pretrained backbone.

    ``source`` is ``None`` for photographs, and ``before`` then NaN.
    """

    source: Domain | None
    target: Domain
    few: Split
    frozen_test: Split
    before: PairScores
    seed: int

    @property
    def n_classes(self) -> int:
        return len(self.target.classes)

    def backbone(self, weights: str | None = "pretrained") -> Backbone:
        return _load(self.target, weights, self.seed)


def _load(target: Domain, weights: str | None = "pretrained", seed: int = 0) -> Backbone:
    """The network for a target: photographs are in colour."""
    size = target.test.x.shape[1]
    if target.test.x.shape[-1] == 3:
        return load_backbone("efficientnet_lite0", image_size=size, weights=weights, seed=seed)
    return load_backbone("resnet_printed", weights=weights, seed=seed)


def _linear_weights(n_features: int, n_classes: int) -> int:
    return n_features * n_classes + n_classes


def _raw_pixels(task: _Task) -> tuple[PairScores, int]:
    """Logistic regression on the pixels: what the labels alone give."""
    score = linear_probe(task.few, task.target.test)
    return PairScores(float("nan"), score), _linear_weights(task.few.x[0].size, task.n_classes)


def _random_features(task: _Task) -> tuple[PairScores, int]:
    """The same network with random weights, frozen: what the architecture alone gives."""
    backbone = task.backbone(None)
    few, test = (cache_features(backbone.model, split, cache_dir="memory") for split in (task.few, task.target.test))
    return PairScores(float("nan"), linear_probe(few, test)), _linear_weights(few.x.shape[-1], task.n_classes)


def _zero_shot(task: _Task) -> tuple[PairScores, int]:
    """The source's own head on the target: what transfers without a single target label."""
    return task.before, 0


def _from_scratch(task: _Task) -> tuple[PairScores, int]:
    """The same ResNet from random weights, all of it trained on the few labels."""
    backbone = task.backbone(None)
    freeze_to(backbone, 0, train_batchnorm=True)
    model = join(backbone.model, build_head(backbone, task.n_classes, seed=task.seed))
    fit(model, task.few, epochs=30, learning_rate=3e-4, seed=task.seed, progress=False)
    return PairScores(float("nan"), accuracy(model, task.target.test)), count_weights(model).trainable


def small_network(seed: int = 0, n_classes: int = 10) -> keras.Model:
    """A network that suits a hundred labels: three convolutions and a dense layer, from raw pixels to logits.

    It is that of notebook 06. Images are ``(28, 28, 1)`` with values in 0..255.
    """
    starts = iter(np.random.SeedSequence(seed).generate_state(4).tolist())
    network = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Rescaling(1 / 255)])
    for width, side in ((16, 5), (32, 3), (64, 3)):
        start = keras.initializers.HeNormal(seed=next(starts))
        network.add(keras.layers.Conv2D(width, side, 2, padding="same", activation="relu", kernel_initializer=start))
    network.add(keras.layers.Flatten())
    network.add(keras.layers.Dense(n_classes, kernel_initializer=keras.initializers.GlorotUniform(seed=next(starts))))
    return network


def moved(seed: int = 0) -> keras.Sequential:
    """Layers that rotate, shift and zoom white-on-black images anew at each call in training (notebook 06)."""
    first, second = np.random.SeedSequence(seed).generate_state(2).tolist()
    black = {"fill_mode": "constant", "fill_value": 0.0}
    rotate = keras.layers.RandomRotation(1 / 25, seed=first, **black)
    shift = keras.layers.RandomTranslation(0.1, 0.1, seed=first, **black)
    return keras.Sequential([rotate, shift, keras.layers.RandomZoom(0.15, seed=second, **black)])


def _small_from_scratch(task: _Task) -> tuple[PairScores, int]:
    """The best training from scratch that we have, on views that are moved anew in each epoch."""
    network = small_network(task.seed, task.n_classes)
    image = keras.Input((28, 28, 1))
    model = keras.Model(image, network(moved(task.seed)(image)))
    fit(model, task.few, **SMALL_SETTING, seed=task.seed, progress=False)
    return PairScores(float("nan"), accuracy(network, task.target.test)), count_weights(network).trainable


def _frozen(task: _Task) -> tuple[PairScores, int]:
    """The pretrained network as it is, and a new head on its features."""
    backbone = task.backbone()
    head = _train_head(task, backbone)
    score = accuracy(head, task.frozen_test)
    return PairScores(task.before.source, score), count_weights(head).trainable


def _train_head(task: _Task, backbone: Backbone) -> Any:
    head = build_head(backbone, task.n_classes, seed=task.seed)
    freeze_to(backbone, backbone.n_stages)
    features = cache_features(backbone.model, task.few, cache_dir="memory")
    fit_probe(head, features)  # the classifier that reads raw pixels and random features, so that only those differ
    return head


def _fine_tuned(task: _Task) -> tuple[PairScores, int]:
    """Head first, then the last stage, then everything at a low rate; BatchNorm stays frozen throughout."""
    backbone = task.backbone()
    head = _train_head(task, backbone)
    for stage, epochs, learning_rate in ((backbone.n_stages - 1, 15, 3e-4), (0, 10, 1e-4)):
        freeze_to(backbone, stage)
        trunk, tail = split_at(backbone, stage)
        model = join(tail, head)
        fit(
            model,
            cache_features(trunk, task.few, cache_dir="memory"),
            epochs=epochs,
            learning_rate=learning_rate,
            seed=task.seed,
            progress=False,
        )
    if task.source is None:
        raise AssertionError("digits alone are fine-tuned here, and they have a source")
    source_head = load_source_head(backbone, task.source.classes)
    read = [(source_head, task.source), (head, task.target)]
    scores = PairScores(*(accuracy(join(backbone.model, reader), domain.test) for reader, domain in read))
    return scores, count_weights(model).trainable


_RUN: dict[str, Callable[[_Task], tuple[PairScores, int]]] = dict(
    zip(
        METHODS,
        (_raw_pixels, _random_features, _zero_shot, _from_scratch, _small_from_scratch, _frozen, _fine_tuned),
        strict=True,
    )
)


def methods_for(target: str) -> tuple[str, ...]:
    """The methods that :func:`run_demo` runs on a target."""
    return PHOTO_METHODS if target in PHOTO_TARGETS else tuple(_RUN)


def photos_folder() -> Path:
    """The course's photographs, one folder per class: those that a wheel has installed, or the checkout's own.

    Raises:
        ValueError: There are none.
    """
    folder = course_folder() / "notebooks" / "photos"
    if not folder.is_dir():
        raise ValueError(f"the course's photographs must lie in {folder}: install tlkit's wheel, which has them.")
    return folder


def run_demo(
    target: str = "mnist",
    *,
    per_class: int = 10,
    seeds: int = 5,
    starting: Callable[[int, str], None] = lambda seed, method: None,
) -> Iterator[dict[str, Any]]:
    """Run every method on every seed, and yield a row as soon as each is done.

    Args:
        target: A bundled domain whose classes are digits, ``"mnist"`` or ``"optdigits"``; or photographs, which three
            methods read: ``"photos"`` (the course's own, a fifth of each class for the test) or ``"clothes"`` (fetched
            once by ``tlkit fetch clothes``).
        per_class: Target labels of each class to learn from.
        seeds: How many draws of those labels.
        starting: Called with the seed and the method before each run.

    Yields:
        ``method``, ``seed``, ``target_accuracy``, ``source_accuracy`` (0..1; NaN where the method has no source head,
        and for photographs), ``trainable_weights``, ``seconds``.

    Raises:
        ValueError: An unknown target, one that is not of the source's classes, a number out of range, or the
            photographs are not there.
        tlkit.files.NotFetchedError: The photographs of clothes were not fetched.
    """
    if seeds < 1:
        raise ValueError(f"seeds must be 1 or more, got {seeds}.")
    if target not in (*DIGIT_DOMAINS, *PHOTO_TARGETS):
        raise ValueError(f"target must be {nearest_name(target, (*DIGIT_DOMAINS, *PHOTO_TARGETS))}")
    source: Domain | None = None
    if target == "photos":
        domain = load_folder(photos_folder(), image_size=SIDE)
    elif target == "clothes":
        domain = load_clothes(image_size=SIDE)
    else:
        pair = load_pair("printed", target)
        source, domain = pair.source, pair.target
    draws = [domain.train.take(per_class, seed=seed) for seed in range(seeds)]
    return _rows(source, domain, draws, methods_for(target), starting)


def _rows(
    source: Domain | None,
    target: Domain,
    draws: list[Split],
    methods: tuple[str, ...],
    starting: Callable[[int, str], None],
) -> Iterator[dict[str, Any]]:
    start = time.perf_counter()
    backbone = _load(target)
    frozen_test = cache_features(backbone.model, target.test, cache_dir="memory")
    before = PairScores(float("nan"), float("nan"))
    if source is not None:
        source_head = load_source_head(backbone, source.classes)
        source_test = cache_features(backbone.model, source.test, cache_dir="memory")
        before = PairScores(accuracy(source_head, source_test), accuracy(source_head, frozen_test))
    zero_shot_seconds = time.perf_counter() - start
    for seed, few in enumerate(draws):
        task = _Task(source, target, few, frozen_test, before, seed)
        for method in methods:
            starting(seed, method)
            start = time.perf_counter()
            scores, trainable = _RUN[method](task)
            seconds = zero_shot_seconds if method == "zero-shot" else time.perf_counter() - start
            yield {
                "method": method,
                "seed": seed,
                "target_accuracy": scores.target,
                "source_accuracy": scores.source,
                "trainable_weights": trainable,
                "seconds": seconds,
            }


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per method: means over seeds, with the half width of the 95 % interval (Student's t) of target accuracy.

    Returns:
        ``method``, ``target_accuracy``, ``target_ci95``, ``source_accuracy``, ``trainable_weights``, ``seconds`` (a
        seed's). The interval of a zero-shot score, which no draw of labels changes, and of a single seed, is NaN.
    """
    rows = []
    for method, group in runs.groupby("method", sort=False):
        mean, half = mean_interval(group["target_accuracy"].to_numpy())
        rows.append(
            {
                "method": method,
                "target_accuracy": mean,
                "target_ci95": float("nan") if method == "zero-shot" else half,
                "source_accuracy": group["source_accuracy"].mean(),
                "trainable_weights": int(group["trainable_weights"].iloc[0]),
                "seconds": group["seconds"].mean(),
            }
        )
    return pd.DataFrame(rows)
