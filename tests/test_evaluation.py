"""Evaluation: every figure against scikit-learn, scipy or a count by hand."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from helpers import raises_one_line, random_split, toy_backbone

from tlkit import evaluation
from tlkit._keras import keras
from tlkit.backbones import Backbone
from tlkit.domains import DomainPair, Split
from tlkit.evaluation import (
    PairScores,
    accuracy,
    classification_report,
    few_shot_curve,
    forgetting,
    linear_probe,
    mean_interval,
    predict_classes,
    score_pair,
)
from tlkit.features import cache_features
from tlkit.heads import build_head, join


def passing_on(n_classes: int) -> keras.Model:
    """A model whose logits are its input, so that a test decides what it answers."""
    logits = keras.Input((n_classes,))
    return keras.Model(logits, keras.layers.Activation("linear")(logits), name="passing_on")


def answering(answers: list[int], truth: list[int], n_classes: int) -> Split:
    return Split(np.eye(n_classes, dtype=np.float32)[answers], np.array(truth))


ANSWERS = [0, 1, 1, 2, 0, 0, 2, 1, 0, 1]
TRUTH = [0, 1, 2, 2, 0, 1, 2, 1, 2, 0]


def test_predictions_and_accuracy_by_hand() -> None:
    model, data = passing_on(3), answering(ANSWERS, TRUTH, 3)
    assert predict_classes(model, data).tolist() == ANSWERS
    assert accuracy(model, data) == sum(a == t for a, t in zip(ANSWERS, TRUTH, strict=True)) / 10
    assert isinstance(accuracy(model, data), float)


def test_accuracy_of_examples_of_another_shape() -> None:
    with raises_one_line(ValueError, "(3,)", "got (4,)"):
        accuracy(passing_on(3), answering([0, 1], [0, 1], 4))


@pytest.mark.parametrize(
    ("answers", "truth"),
    [
        pytest.param(ANSWERS, TRUTH, id="mixed"),
        pytest.param(TRUTH, TRUTH, id="all right"),
        pytest.param([0] * 10, TRUTH, id="always one answer"),
        pytest.param(ANSWERS, [0, 1] * 5, id="a class without examples"),
    ],
)
def test_report_is_scikit_learns(answers: list[int], truth: list[int]) -> None:
    from sklearn import metrics

    classes = ("ant", "bee", "cat")
    report = classification_report(passing_on(3), answering(answers, truth, 3), classes)
    oracle = metrics.classification_report(
        truth, answers, labels=range(3), target_names=classes, output_dict=True, zero_division=0
    )
    assert list(report.columns) == ["precision", "recall", "f1", "support"]
    assert list(report.index) == [*classes, "macro average"]
    assert report["support"].dtype.kind == "i"
    for name in report.index:
        expected = oracle["macro avg" if name == "macro average" else name]
        np.testing.assert_allclose(
            report.loc[name].to_numpy(float), [expected[key] for key in ("precision", "recall", "f1-score", "support")]
        )


def test_report_names_each_logit() -> None:
    with raises_one_line(ValueError, "3 logits", "got 2 names"):
        classification_report(passing_on(3), answering(ANSWERS, TRUTH, 3), ("a", "b"))


def test_score_pair_reads_each_test_part_with_its_own_head(still_toy: Backbone, pair: DomainPair) -> None:
    heads = [build_head(still_toy, 3, seed=seed) for seed in (1, 2)]
    scores = score_pair(still_toy, *heads, pair)
    assert scores.source == accuracy(join(still_toy.model, heads[0]), pair.source.test)
    assert scores.target == accuracy(join(still_toy.model, heads[1]), pair.target.test)
    zero_shot = score_pair(still_toy, heads[0], heads[0], pair)
    assert zero_shot.target == accuracy(join(still_toy.model, heads[0]), pair.target.test)


def test_score_pair_without_a_head_is_nan(still_toy: Backbone, pair: DomainPair) -> None:
    head = build_head(still_toy, 3)
    scores = score_pair(still_toy, None, head, pair)
    assert math.isnan(scores.source)
    assert not math.isnan(scores.target)
    assert math.isnan(scores.gap)
    assert math.isnan(score_pair(still_toy, head, None, pair).target)


def test_scores_are_frozen_data() -> None:
    scores = PairScores(0.75, 0.5)
    assert scores.gap == 0.25
    with pytest.raises(dataclasses.FrozenInstanceError):
        scores.source = 1.0  # type: ignore[misc]


def test_forgetting_is_source_accuracy_lost() -> None:
    assert forgetting(PairScores(1.0, 0.0), PairScores(0.75, 1.0)) == 0.25
    assert forgetting(PairScores(0.5, 0.0), PairScores(0.75, 0.0)) == -0.25
    assert forgetting(PairScores(0.5, 0.1), PairScores(0.5, 0.9)) == 0
    assert math.isnan(forgetting(PairScores(float("nan"), 0.1), PairScores(0.5, 0.9)))


def test_linear_probe_is_scikit_learns_logistic_regression(still_toy: Backbone) -> None:
    from sklearn.linear_model import LogisticRegression

    train, test = random_split(60, signal=True), random_split(90, seed=1, signal=True)
    cached = cache_features(still_toy.model, train), cache_features(still_toy.model, test)
    pixels = [data.x.reshape(len(data), -1) / np.float32(255) for data in (train, test)]
    pooled = [np.asarray(data.x).mean(axis=(1, 2)) for data in cached]
    for few, held_out, (x, x_test) in [(train, test, pixels), (*cached, pooled)]:
        expected = LogisticRegression(C=1, max_iter=2000).fit(x, few.y).score(x_test, held_out.y)
        assert linear_probe(few, held_out) == pytest.approx(expected)
        assert expected > 0.5  # else this compares noise


def test_linear_probe_does_not_learn_from_the_test_part() -> None:
    train, test = random_split(30, signal=True), random_split(30, seed=1, signal=True)
    whole = linear_probe(train, test)
    halves = [linear_probe(train, test[part]) for part in (slice(15), slice(15, 30))]
    np.testing.assert_allclose(np.mean(halves), whole)


def numbered(y: np.ndarray, offset: float) -> Split:
    """Features from which a test can tell which example and which representation it sees."""
    return Split(np.stack([np.arange(len(y)), np.full(len(y), offset)], axis=1).astype(np.float32), y)


def test_few_shot_curve_gives_every_method_the_same_images(monkeypatch: pytest.MonkeyPatch) -> None:
    y = random_split(60).y
    seen: list[tuple[float, tuple[float, ...]]] = []

    def probe(few: Split, test: Split) -> float:
        assert len(test) == 6
        seen.append((float(few.x[0, 1]), tuple(few.x[:, 0].tolist())))
        return len(few) / 100

    monkeypatch.setattr(evaluation, "linear_probe", probe)
    representations = {name: (numbered(y, offset), numbered(y[:6], offset)) for name, offset in (("a", 1), ("b", 2))}
    curve = few_shot_curve(representations, per_class=(1, 5), seeds=(3, 8))
    assert list(curve.columns) == ["method", "per_class", "labels", "seed", "accuracy"]
    assert sorted(map(tuple, curve[["method", "per_class", "seed"]].to_numpy().tolist())) == [
        (method, k, seed) for method in "ab" for k in (1, 5) for seed in (3, 8)
    ]
    assert (curve["labels"] == 3 * curve["per_class"]).all()
    np.testing.assert_allclose(curve["accuracy"], curve["labels"] / 100)
    draws = [{images for offset, images in seen if offset == method} for method in (1, 2)]
    assert draws[0] == draws[1]
    assert len(draws[0]) == 4  # another draw for each number of labels and seed


def test_few_shot_curve_counts_seeds_from_zero() -> None:
    pool, test = random_split(12, signal=True), random_split(9, seed=1, signal=True)
    counted = few_shot_curve({"pixels": (pool, test)}, per_class=(2,), seeds=2)
    pd.testing.assert_frame_equal(counted, few_shot_curve({"pixels": (pool, test)}, per_class=(2,), seeds=[0, 1]))
    assert counted["accuracy"].tolist() == [linear_probe(pool.take(2, seed=seed), test) for seed in (0, 1)]


def test_few_shot_curve_refuses_before_it_works(no_training) -> None:
    pool = random_split(12)
    with raises_one_line(ValueError, "per_class must be in 1..4", "got 5"):
        few_shot_curve({"pixels": (pool, pool)}, per_class=(2, 5), seeds=2)


@pytest.mark.parametrize("values", [[0.5, 0.75], [0.1, 0.4, 0.2, 0.9, 0.35], [1.0, 1.0, 1.0]])
def test_interval_is_students(values: list[float]) -> None:
    from scipy import stats

    mean, half = mean_interval(values)
    assert mean == pytest.approx(np.mean(values))
    if np.std(values) == 0:
        assert half == 0
    else:
        low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
        assert (mean - half, mean + half) == pytest.approx((low, high))


def test_interval_by_hand() -> None:
    # Two values: t(0.975, 1) = 12.706 standard errors, and the standard error is half their distance.
    assert mean_interval([0.0, 2.0]) == pytest.approx((1.0, 12.706), abs=1e-3)


def test_interval_of_one_value() -> None:
    mean, half = mean_interval([0.25])
    assert mean == 0.25
    assert math.isnan(half)


def test_toy_features_are_worth_evaluating() -> None:
    # The helper that several tests rest on: classes that differ in brightness can be told apart.
    backbone = toy_backbone()
    train, test = random_split(60, signal=True), random_split(60, seed=1, signal=True)
    probe = linear_probe(cache_features(backbone.model, train), cache_features(backbone.model, test))
    assert probe > 1 / 3
