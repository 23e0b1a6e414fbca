"""Evaluation: source and target scores, forgetting, per-class reports; how sure a score is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from tlkit._keras import keras
from tlkit.backbones import Backbone, check_backbone
from tlkit.domains import Array, DomainPair, Split, check_count, check_list, check_rate, check_seed, check_share
from tlkit.features import batches, check_shape, fitting_batch_size
from tlkit.heads import join
from tlkit.probe import few_shot_curve as few_shot_curve  # they were here
from tlkit.probe import linear_probe as linear_probe
from tlkit.words import nearest_name, one_line

__all__ = [
    "Interval",
    "PairScores",
    "PairedTest",
    "accuracy",
    "bootstrap_interval",
    "calibration",
    "calibration_error",
    "classification_report",
    "fit_temperature",
    "forgetting",
    "mean_interval",
    "paired_test",
    "predict_classes",
    "predict_probabilities",
    "score_pair",
]

# Temperatures that fit_temperature looks at: far beyond them every answer is certain, or none is.
TEMPERATURES = (0.01, 100.0)
# Indices that scipy draws at a time, so that many resamples of a large test set stay a few megabytes.
_BOOTSTRAP_INDICES = 1_000_000


@dataclass(frozen=True)
class PairScores:
    """Accuracies, 0..1, on the test part of the source and of the target; NaN where there was no head to ask."""

    source: float
    target: float

    @property
    def gap(self) -> float:
        """Source minus target accuracy."""
        return self.source - self.target


@dataclass(frozen=True)
class Interval:
    """A metric on the whole test set, and the two ends of its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedTest:
    """Two models on the same test examples.

    Args:
        difference: Accuracy of the first minus accuracy of the second, -1..1.
        low: Lower end of the confidence interval of the difference.
        high: Upper end of it.
        p_value: Exact McNemar: how often two models that err equally often would disagree at least as one-sidedly.
        only_first: Discordant examples, which the first model alone gets right.
        only_second: Discordant examples, which the second model alone gets right.
    """

    difference: float
    low: float
    high: float
    p_value: float
    only_first: int
    only_second: int


def _logits(model: keras.Model, split: Split) -> Array:
    check_shape(model, split)
    logits = np.asarray(model.predict(batches(split, fitting_batch_size(model), model=model), verbose=0))
    # The largest of a row is NaN if any is; a logit of minus infinity rules a class out, and may be meant.
    wrong = int(np.count_nonzero(~np.isfinite(logits.max(axis=-1))))
    if wrong:
        raise FloatingPointError(
            f"logits must be finite, got NaN or infinite ones for {wrong:,} of {len(logits):,} examples from "
            f"{model.name!r}."
        )
    return logits


def predict_classes(model: keras.Model, split: Split) -> Array:
    """The most likely class of each example, ``(n,)`` ``int64``.

    Raises:
        FloatingPointError: The model gives NaN or infinity for an example.
    """
    classes: Array = _logits(model, split).argmax(axis=-1)
    return classes


def predict_probabilities(model: keras.Model, split: Split, *, temperature: float = 1.0) -> Array:
    """The probability of each class for each example, ``(n, classes)`` ``float64``: the softmax of the logits.

    Args:
        temperature: What the logits are divided by, above 0. Above 1 answers are less certain; the most likely class
            stays the same. :func:`fit_temperature` chooses it.

    Raises:
        ValueError: ``temperature`` is not above 0.
        FloatingPointError: The model gives NaN or infinity for an example.
    """
    from scipy.special import softmax

    check_rate("temperature", temperature)
    probabilities: Array = softmax(_logits(model, split).astype(np.float64) / temperature, axis=-1)
    return probabilities


def accuracy(model: keras.Model, split: Split) -> float:
    """The share of examples, 0..1, whose most likely class is the right one.

    Raises:
        FloatingPointError: The model gives NaN or infinity for an example.
    """
    return float(np.mean(predict_classes(model, split) == split.y))


def score_pair(
    backbone: Backbone, source_head: keras.Model | None, target_head: keras.Model | None, pair: DomainPair
) -> PairScores:
    """Accuracy of one backbone on both domains' test parts, each read by its own head.

    Give the source head as ``target_head`` too, and the target score is zero-shot. A head of ``None`` scores NaN.

    Raises:
        ValueError: ``backbone`` is no :class:`Backbone`, ``pair`` no :class:`DomainPair`, or a head no Keras model.
    """
    check_backbone(backbone)
    if not isinstance(pair, DomainPair):
        raise ValueError(f"pair must be a DomainPair, got {type(pair).__name__}.")

    def score(head: keras.Model | None, test: Split) -> float:
        return float("nan") if head is None else accuracy(join(backbone.model, head), test)

    return PairScores(source=score(source_head, pair.source.test), target=score(target_head, pair.target.test))


def forgetting(before: PairScores, after: PairScores) -> float:
    """Source accuracy lost between two moments, such as before and after a fine-tuning; negative if it was won.

    Raises:
        ValueError: One of them is no :class:`PairScores`.
    """
    for name, scores in (("before", before), ("after", after)):
        if not isinstance(scores, PairScores):
            raise ValueError(f"{name} must be PairScores, which score_pair gives, got {one_line(repr(scores), 80)}.")
    return before.source - after.source


def classification_report(model: keras.Model, split: Split, classes: Sequence[str]) -> pd.DataFrame:
    """Precision, recall and F1 (0..1) and support (examples) of each class, and their macro average (scikit-learn).

    Raises:
        ValueError: ``classes`` does not name each logit of the model.
    """
    from sklearn.metrics import precision_recall_fscore_support

    check_list("classes", classes, "names")
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


def mean_interval(values: Sequence[float] | Array) -> tuple[float, float]:
    """Mean, and half the width of its 95 % confidence interval by Student's t; NaN for the width of one value.

    Raises:
        ValueError: ``values`` is no list ``(n,)`` of one number or more.
    """
    from scipy import stats

    array = _numbers("values", values)
    if array.ndim != 1 or not len(array):
        raise ValueError(f"values must be a list of one number or more, (n,), got the shape {array.shape}.")
    if len(array) < 2:
        return float(array.mean()), float("nan")
    half = stats.t.ppf(0.975, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array))
    return float(array.mean()), float(half)


def _numbers(name: str, values: Any) -> Array:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be numbers, got {one_line(repr(values), 80)}.") from None


def _check_answers(labels: Array, *predictions: Array) -> tuple[Array, ...]:
    arrays = tuple(np.asarray(array) for array in (labels, *predictions))
    if arrays[0].ndim != 1 or len(arrays[0]) < 2:
        raise ValueError(f"labels must have shape (n,) with two examples or more, got {arrays[0].shape}.")
    for array in arrays[1:]:
        if array.shape != arrays[0].shape:
            raise ValueError(f"predictions must have the shape of the labels, {arrays[0].shape}, got {array.shape}.")
    return arrays


def _mean_of(values: Array) -> Callable[..., Any]:
    """The mean as a statistic of indices; for its ``axis`` scipy gives it many drawn test sets at a time."""
    return lambda index, axis=-1: values[index].mean(axis=axis)


def _bootstrap(
    statistic: Callable[..., Any],
    n: int,
    *,
    confidence: float,
    resamples: int,
    method: Literal["percentile", "BCa"],
    seed: int,
) -> tuple[float, float]:
    """Both ends of the interval of a statistic of the indices ``0..n-1``, drawn with replacement."""
    from scipy import stats

    check_share("confidence", confidence)
    check_count("resamples", resamples, least=2)
    check_seed(seed)
    if method not in ("percentile", "BCa"):
        raise ValueError(f"method must be {nearest_name(method, ('percentile', 'BCa'))}")
    # Without variation BCa divides 0 by 0: the warnings become the error below.
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (np.arange(n),),
            statistic,
            n_resamples=int(resamples),
            batch=max(1, _BOOTSTRAP_INDICES // n),
            confidence_level=confidence,
            method=method,
            rng=np.random.default_rng(seed),
        )
    low, high = (float(end) for end in result.confidence_interval)
    if np.isnan(low) or np.isnan(high):
        raise ValueError(f"a metric must be a number, and for 'BCa' vary, in the resamples, got NaN by {method!r}.")
    return low, high


def bootstrap_interval(
    labels: Array,
    predictions: Array,
    metric: Callable[[Array, Array], float] | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    method: Literal["percentile", "BCa"] = "percentile",
    seed: int = 0,
) -> Interval:
    """A metric of one model's answers, with its confidence interval by the bootstrap (scipy).

    The test set is drawn anew from itself, with replacement, ``resamples`` times (Efron, 1979); the interval holds the
    middle of what the metric becomes. It answers: how far would the score move with other test examples? The model is
    taken as it is: another draw of training labels is another question, see :func:`mean_interval`.

    A model without a single error gets an interval without width, which says too much: use the exact one of
    ``scipy.stats.binomtest(k, n).proportion_ci()`` there, and for test sets of some ten examples.

    Args:
        labels: The right classes, ``(n,)``.
        predictions: The model's answers, ``(n,)``, or whatever else ``metric`` takes for each example.
        metric: From labels and predictions to a number, such as scikit-learn's; ``None`` is accuracy.
        confidence: Share of such intervals, in (0, 1), that hold the truth in the long run.
        resamples: Test sets drawn, 2 or more.
        method: ``"percentile"``, or ``"BCa"``, corrected for bias and skewness (Efron, 1987), which costs ``n`` calls
            of the metric more.
        seed: Draws the test sets.

    Raises:
        ValueError: Shapes differ, an argument is out of range, or the metric is NaN or (for BCa) the same in every
            resample.
    """
    if metric is not None and not callable(metric):
        raise ValueError(f"metric must be a function of labels and predictions, got {one_line(repr(metric), 80)}.")
    y, answers = _check_answers(labels, predictions)
    right = (y == answers).astype(np.float64)
    low, high = _bootstrap(
        _mean_of(right) if metric is None else lambda index: metric(y[index], answers[index]),
        len(y),
        confidence=confidence,
        resamples=resamples,
        method=method,
        seed=seed,
    )
    return Interval(float(right.mean() if metric is None else metric(y, answers)), low, high)


def paired_test(
    labels: Array, first: Array, second: Array, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> PairedTest:
    """Compare two models on the same test examples.

    Only the examples on which one model is right and the other wrong tell them apart. Were both equally good, each of
    these would fall to either side like a coin: the exact form of McNemar's test (1947; for classifiers Dietterich,
    1998), a two-sided binomial test. The interval of the difference is a paired percentile bootstrap: both models meet
    the same drawn examples.

    It judges these two trained models. Whether one *method* beats the other also depends on the draw of the training
    labels: repeat both over several draws, and see :func:`mean_interval`.

    Args:
        labels: The right classes, ``(n,)``.
        first: One model's answers, ``(n,)``.
        second: The other model's answers, ``(n,)``.
        confidence: See :func:`bootstrap_interval`, also for ``resamples`` and ``seed``.

    Raises:
        ValueError: Shapes differ, or an argument is out of range.
    """
    from scipy import stats

    y, one, other = _check_answers(labels, first, second)
    gain = (one == y).astype(np.float64) - (other == y)
    only_first, only_second = int((gain > 0).sum()), int((gain < 0).sum())
    discordant = only_first + only_second
    low, high = _bootstrap(
        _mean_of(gain), len(y), confidence=confidence, resamples=resamples, method="percentile", seed=seed
    )
    return PairedTest(
        difference=float(gain.mean()),
        low=low,
        high=high,
        p_value=float(stats.binomtest(only_first, discordant).pvalue) if discordant else 1.0,
        only_first=only_first,
        only_second=only_second,
    )


def calibration(labels: Array, probabilities: Array, *, bins: int = 15) -> pd.DataFrame:
    """How often a model is right where it says that it is so sure (reliability; Guo et al., 2017, arXiv:1706.04599).

    Args:
        labels: The right classes, ``(n,)``.
        probabilities: Of each class, ``(n, classes)``; :func:`predict_probabilities` gives them.
        bins: Bins of equal width over the confidence, 1 or more.

    Returns:
        One row per bin: ``low`` (excluded) and ``high`` (included), ``count`` of the examples whose most likely class
        has a probability in it, ``confidence`` (the mean of that probability) and ``accuracy``, NaN where the bin is
        empty.

    Raises:
        ValueError: Shapes differ, rows do not sum to 1, a label is no class, or ``bins`` is below 1.
    """
    y, p = np.asarray(labels), _numbers("probabilities", probabilities)
    check_count("bins", bins)
    if y.ndim != 1 or p.ndim != 2 or len(y) != len(p) or len(y) == 0:
        raise ValueError(f"labels must be (n,) and probabilities (n, classes), got {y.shape} and {p.shape}.")
    if not (np.all(p >= 0) and np.allclose(p.sum(axis=1), 1, atol=1e-3)):
        raise ValueError("probabilities must be 0 or more and sum to 1 for each example; logits need a softmax first.")
    if y.dtype.kind not in "iub" or y.min() < 0 or y.max() >= p.shape[1]:
        got = y.dtype if y.dtype.kind not in "iub" else y.min() if y.min() < 0 else y.max()
        raise ValueError(f"labels must be integers in 0..{p.shape[1] - 1}, one for each column, got {got}.")
    confidence = p.max(axis=1)
    edges = np.linspace(0, 1, bins + 1)
    number = np.clip(np.digitize(confidence, edges, right=True) - 1, 0, bins - 1)
    table = pd.DataFrame({"confidence": confidence, "accuracy": p.argmax(axis=1) == y})
    groups = table.astype(float).groupby(number)
    means = groups.mean().reindex(range(bins))
    count = groups.size().reindex(range(bins), fill_value=0)
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "count": count, **means})


def calibration_error(table: pd.DataFrame) -> float:
    """Expected calibration error, 0..1: the mean distance of accuracy from confidence, bins weighted by their count.

    ``table`` is what :func:`calibration` returned. Even a perfectly calibrated model has an error above 0, since each
    bin holds few examples; more bins make it larger (Guo et al., 2017, arXiv:1706.04599).

    Raises:
        ValueError: ``table`` is something else.
    """
    if not isinstance(table, pd.DataFrame) or not {"count", "accuracy", "confidence"} <= set(table):
        raise ValueError(f"table must be what calibration returned, got {type(table).__name__}.")
    share = table["count"] / table["count"].sum()
    return float((share * (table["accuracy"] - table["confidence"]).abs()).sum())


def fit_temperature(model: keras.Model, validation: Split) -> float:
    """The temperature under which the labels of ``validation`` are most likely (Guo et al., 2017, arXiv:1706.04599).

    One number, above 1 for a model that is too sure of itself. It belongs to examples that the model was not trained
    on, and that are not the test set. Where the model is right on all of them the best temperature is 0; the smallest
    in 0.01..100 is then returned.

    Returns:
        For ``temperature`` of :func:`predict_probabilities`.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    logits = _logits(model, validation).astype(np.float64)
    every = np.arange(len(logits))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(logits / np.exp(log_temperature), axis=-1)[every, validation.y].mean())

    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES).tolist(), method="bounded")
    return float(np.exp(found.x))
