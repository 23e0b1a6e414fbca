"""The head as a logistic regression, against scikit-learn's own predictions."""

import numpy as np
import pytest
from helpers import raises_one_line, random_split, toy_backbone
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from tlkit import accuracy, build_head, cache_features, fit_probe, join, linear_probe, pool_features
from tlkit.domains import Split
from tlkit.training import logistic_regression


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
