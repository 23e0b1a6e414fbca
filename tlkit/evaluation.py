"""Evaluation: source and target scores, forgetting, per-class reports, few-shot curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tlkit._tensorflow import keras
from tlkit.backbones import Backbone
from tlkit.domains import Array, DomainPair, Split
from tlkit.features import batches, check_shape, pool_features
from tlkit.heads import join
from tlkit.training import logistic_regression

__all__ = [
    "PairScores",
    "accuracy",
    "classification_report",
    "few_shot_curve",
    "forgetting",
    "linear_probe",
    "mean_interval",
    "predict_classes",
    "score_pair",
]


@dataclass(frozen=True)
class PairScores:
    """Accuracies, 0..1, on the test part of the source and of the target; NaN where there was no head to ask."""

    source: float
    target: float

    @property
    def gap(self) -> float:
        """Source minus target accuracy."""
        return self.source - self.target


def predict_classes(model: keras.Model, split: Split) -> Array:
    """The most likely class of each example, ``(n,)`` ``int64``."""
    check_shape(model, split)
    logits: Array = np.asarray(model.predict(batches(split, 256), verbose=0))
    classes: Array = logits.argmax(axis=-1)
    return classes


def accuracy(model: keras.Model, split: Split) -> float:
    """The share of examples, 0..1, whose most likely class is the right one."""
    return float(np.mean(predict_classes(model, split) == split.y))


def score_pair(
    backbone: Backbone, source_head: keras.Model | None, target_head: keras.Model | None, pair: DomainPair
) -> PairScores:
    """Accuracy of one backbone on both domains' test parts, each read by its own head.

    Give the source head as ``target_head`` too, and the target score is zero-shot. A head of ``None`` scores NaN.
    """

    def score(head: keras.Model | None, test: Split) -> float:
        return float("nan") if head is None else accuracy(join(backbone.model, head), test)

    return PairScores(source=score(source_head, pair.source.test), target=score(target_head, pair.target.test))


def forgetting(before: PairScores, after: PairScores) -> float:
    """Source accuracy lost between two moments, such as before and after a fine-tuning; negative if it was won."""
    return before.source - after.source


def classification_report(model: keras.Model, split: Split, classes: Sequence[str]) -> pd.DataFrame:
    """Precision, recall and F1 (0..1) and support (examples) of each class, and their macro average (scikit-learn).

    Raises:
        ValueError: ``classes`` does not name each logit of the model.
    """
    from sklearn.metrics import precision_recall_fscore_support

    if len(classes) != model.output_shape[-1]:
        raise ValueError(
            f"classes must name the {model.output_shape[-1]} logits of the model, got {len(classes)} names."
        )
    labels = np.arange(len(classes))
    scores = precision_recall_fscore_support(split.y, predict_classes(model, split), labels=labels, zero_division=0)
    table = pd.DataFrame(
        dict(zip(("precision", "recall", "f1", "support"), scores, strict=True)), index=pd.Index(classes, name="class")
    )
    macro = table.mean()
    macro["support"] = table["support"].sum()
    table.loc["macro average"] = macro
    return table.astype({"support": int})


def linear_probe(train: Split, test: Split) -> float:
    """Test accuracy, 0..1, of a logistic regression (scikit-learn, L2, C = 1) on pooled features or raw pixels.

    The usual measure of how good a frozen representation is (Alain & Bengio, 2016, arXiv:1610.01644). See
    :func:`tlkit.training.logistic_regression`, also for errors.
    """
    kernel, bias = logistic_regression(train)
    return float(np.mean((pool_features(test) @ kernel + bias).argmax(axis=1) == test.y))


def few_shot_curve(
    representations: Mapping[str, tuple[Split, Split]],
    *,
    per_class: Sequence[int] = (1, 2, 5, 10, 20, 50),
    seeds: int | Sequence[int] = 5,
) -> pd.DataFrame:
    """Accuracy of a linear probe against the number of labels, for several representations of the same images.

    For one seed, all representations learn from the same images.

    Args:
        representations: A name for each pair of splits ``(train pool, test)``, such as cached features or raw images.
        per_class: Labels per class to try.
        seeds: The draws of those labels: how many, or which.

    Returns:
        A row a representation, number and seed: ``method``, ``per_class``, ``labels`` (in all), ``seed``, ``accuracy``.

    Raises:
        ValueError: A pool has too few examples of a class.
    """
    draws = [
        (method, k, seed, pool.take(k, seed=seed), test)
        for method, (pool, test) in representations.items()
        for k in per_class
        for seed in (range(seeds) if isinstance(seeds, int) else seeds)
    ]
    rows = [(method, k, len(few), seed, linear_probe(few, test)) for method, k, seed, few, test in draws]
    return pd.DataFrame(rows, columns=["method", "per_class", "labels", "seed", "accuracy"])


def mean_interval(values: Sequence[float] | Array) -> tuple[float, float]:
    """Mean, and half the width of its 95 % confidence interval by Student's t; NaN for the width of one value."""
    from scipy import stats

    array = np.asarray(values, dtype=float)
    if len(array) < 2:
        return float(array.mean()), float("nan")
    half = stats.t.ppf(0.975, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array))
    return float(array.mean()), float(half)
