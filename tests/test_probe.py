"""The linear probe: its answers and the head it makes, against scikit-learn's own; the curve over labels."""

import numpy as np
import pandas as pd
import pytest
from helpers import raises_one_line, random_split, toy_backbone
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from tlkit import (
    accuracy,
    build_head,
    cache_features,
    evaluation,
    join,
    pool_features,
    predict_classes,
    probe,
    training,
)
from tlkit.backbones import Backbone
from tlkit.domains import Split
from tlkit.probe import few_shot_curve, fit_probe, linear_probe, logistic_regression, probe_classes


def features_of(split: Split) -> Split:
    return cache_features(toy_backbone().model, split, cache_dir="memory")


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_probabilities_are_scikit_learns(classes: int) -> None:
    train, test = (features_of(random_split(60, classes=classes, seed=seed, signal=True)) for seed in (0, 1))
    x, x_test = pool_features(train), pool_features(test)
    centre = x.mean(axis=0)
    scale = FunctionTransformer(lambda data: (data - centre) / np.sqrt(np.mean((x - centre) ** 2)))
    oracle = LogisticRegression(max_iter=2000).fit(scale.transform(x), train.y)
    kernel, bias = logistic_regression(train)
    np.testing.assert_allclose(
        softmax(x_test @ kernel + bias, axis=1), oracle.predict_proba(scale.transform(x_test)), atol=1e-4
    )


@pytest.mark.parametrize("classes", [2, 4])
def test_the_head_scores_what_the_linear_probe_scores(classes: int) -> None:
    backbone = toy_backbone()
    train, test = (random_split(60, classes=classes, seed=seed, signal=True) for seed in (0, 1))
    head = build_head(backbone, classes)
    fit_probe(head, features_of(train))
    expected = linear_probe(features_of(train), features_of(test))
    assert accuracy(head, features_of(test)) == pytest.approx(expected)
    answers = probe_classes(features_of(train), features_of(test))
    np.testing.assert_array_equal(predict_classes(head, features_of(test)), answers)
    assert accuracy(join(backbone.model, head), test) == pytest.approx(expected)


def test_it_does_not_depend_on_the_scale_or_the_place_of_the_features() -> None:
    train, test = (features_of(random_split(60, seed=seed, signal=True)) for seed in (0, 1))
    moved = [Split(part.x * np.float32(50) + np.float32(3), part.y) for part in (train, test)]
    assert linear_probe(*moved) == linear_probe(train, test)


def test_refuses() -> None:
    backbone = toy_backbone()
    train = features_of(random_split(24, classes=3))
    with raises_one_line(ValueError, "one dense layer", "got 2"):
        fit_probe(build_head(backbone, 3, hidden=(4,)), train)
    with raises_one_line(ValueError, "4 classes of the head", "got 3"):
        fit_probe(build_head(backbone, 4), train)
    with raises_one_line(ValueError, "labels must be 0..n-1", "got [0, 2]"):
        fit_probe(build_head(backbone, 3), train[train.y != 1])
    with raises_one_line(ValueError, "got [0]"):
        linear_probe(train[train.y == 0], train)


def test_names_are_where_they_were_before() -> None:
    assert (training.fit_probe, training.logistic_regression) == (fit_probe, logistic_regression)
    assert (evaluation.linear_probe, evaluation.few_shot_curve) == (linear_probe, few_shot_curve)


def test_linear_probe_is_scikit_learns_logistic_regression(still_toy: Backbone) -> None:
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

    def counting(few: Split, test: Split) -> float:
        assert len(test) == 6
        seen.append((float(few.x[0, 1]), tuple(few.x[:, 0].tolist())))
        return len(few) / 100

    monkeypatch.setattr(probe, "linear_probe", counting)
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
