"""Evaluation: every figure against scikit-learn, scipy or a count by hand."""

import dataclasses
import math

import numpy as np
import pytest
from helpers import raises_one_line, random_split, toy_backbone

from tlkit._keras import keras
from tlkit.backbones import Backbone
from tlkit.domains import DomainPair, Split
from tlkit.evaluation import (
    PairScores,
    accuracy,
    calibration,
    calibration_error,
    classification_report,
    forgetting,
    mean_interval,
    predict_classes,
    predict_probabilities,
    score_pair,
)
from tlkit.features import cache_features
from tlkit.heads import build_head, join
from tlkit.probe import linear_probe


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


def constant_logits(*logits: float) -> keras.Model:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Dense(len(logits), kernel_initializer="zeros", name="head")(keras.layers.Flatten()(image))
    model = keras.Model(image, x, name="constant")
    model.get_layer("head").bias.assign(logits)
    return model


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
@pytest.mark.parametrize("ask", [accuracy, predict_classes, predict_probabilities])
def test_a_model_that_gives_nan_is_named(ask, wrong: float) -> None:
    with raises_one_line(FloatingPointError, "logits must be finite", "24 of 24 examples", "'constant'"):
        ask(constant_logits(0.0, wrong, 1.0), random_split(24))


def test_a_class_that_is_ruled_out_is_no_fault() -> None:
    data = random_split(24)
    assert accuracy(constant_logits(0.0, float("-inf"), 1.0), data) == np.mean(data.y == 2)


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


@pytest.mark.parametrize("values", [5, None, "a", [], [[1, 2], [3, 4]], ["a", "b"]])
def test_a_mean_is_of_a_list_of_numbers(values) -> None:
    with raises_one_line(ValueError, "values must be "):
        mean_interval(values)


@pytest.mark.parametrize(
    ("labels", "got"), [([0, 2], "2"), ([-1, 0], "-1"), ([0.5, 1.0], "float64"), (["a", "b"], "<U1")]
)
def test_labels_of_a_calibration_are_its_columns(labels, got: str) -> None:
    with raises_one_line(ValueError, "labels must be integers in 0..1", f"got {got}."):
        calibration(labels, [[0.5, 0.5], [0.1, 0.9]])


@pytest.mark.parametrize("table", [None, 5, "", []])
def test_a_calibration_error_is_of_a_calibration(table) -> None:
    with raises_one_line(ValueError, "table must be what calibration returned", type(table).__name__):
        calibration_error(table)


def test_toy_features_are_worth_evaluating() -> None:
    # The helper that several tests rest on: classes that differ in brightness can be told apart.
    backbone = toy_backbone()
    train, test = random_split(60, signal=True), random_split(60, seed=1, signal=True)
    probe = linear_probe(cache_features(backbone.model, train), cache_features(backbone.model, test))
    assert probe > 1 / 3
