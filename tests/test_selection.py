"""Scores without target labels, against slow implementations of the papers' formulas, and known answers."""

import numpy as np
import pytest
from helpers import raises_one_line
from scipy import stats
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import scale

from tlkit.selection import (
    importance_weighted_accuracy,
    importance_weights,
    mean_entropy,
    soft_neighborhood_density,
    told_apart,
)


def answers(n: int = 30, classes: int = 4, seed: int = 0) -> np.ndarray:
    return softmax(3 * np.random.default_rng(seed).normal(size=(n, classes)), axis=1)


def test_entropy_is_scipys() -> None:
    p = answers()
    assert mean_entropy(p) == pytest.approx(np.mean([stats.entropy(row) for row in p]))
    assert mean_entropy(np.eye(4)) == 0
    assert mean_entropy(np.full((5, 4), 0.25)) == pytest.approx(np.log(4))


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_density_is_that_of_the_papers_loop(temperature: float) -> None:
    p = answers()
    scores = []
    for i, one in enumerate(p):
        others = [other for j, other in enumerate(p) if j != i]
        likeness = [one @ other / (np.linalg.norm(one) * np.linalg.norm(other)) / temperature for other in others]
        scores.append(stats.entropy(softmax(likeness)))
    assert soft_neighborhood_density(p, temperature=temperature) == pytest.approx(np.mean(scores))


def test_density_counts_neighbours() -> None:
    groups = np.eye(5)[np.repeat(np.arange(5), 8)]  # five groups of eight: each has seven neighbours
    assert soft_neighborhood_density(groups, temperature=0.01) == pytest.approx(np.log(7))
    alike = np.eye(5)[np.zeros(40, int)]
    assert soft_neighborhood_density(alike) == pytest.approx(np.log(39))


def test_weights_are_the_ratio_of_two_gaussians() -> None:
    """Of two Gaussians with one covariance the log of the ratio is a line, which the regression can find."""
    rng = np.random.default_rng(0)
    x, goal = rng.normal(size=(4000, 2)), rng.normal([1, 0], 1, size=(8000, 2))
    weights = importance_weights(x, goal)
    wanted = np.exp(x[:, 0] - 0.5)  # of N(1, 1) over N(0, 1)
    assert np.corrcoef(np.log(weights), np.log(wanted))[0, 1] > 0.99
    assert weights.mean() == pytest.approx(1, abs=0.1)
    np.testing.assert_allclose(np.log(weights), np.log(wanted), atol=0.35)


def test_weighted_accuracy_estimates_that_on_the_shifted_target() -> None:
    rng = np.random.default_rng(0)
    x, goal = rng.normal(size=(4000, 1)), rng.normal(size=(4000, 1)) + 1

    def right_at(values: np.ndarray) -> np.ndarray:  # where the source is dense
        return (values[:, 0] < 0.8).astype(int)

    plain, wanted = right_at(x).mean(), right_at(goal).mean()
    score = importance_weighted_accuracy(np.ones(4000, int), right_at(x), importance_weights(x, goal))
    assert abs(score - wanted) < 0.05 < plain - wanted


def test_equal_weights_give_the_accuracy() -> None:
    y = np.array([0, 1, 2, 2])
    assert importance_weighted_accuracy(y, np.array([0, 1, 2, 0]), np.full(4, 0.3)) == 0.75
    assert importance_weighted_accuracy(y, np.array([0, 1, 2, 0]), np.array([0, 0, 0, 2.0])) == 0


def test_the_share_told_apart_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(40, 3)), rng.normal([0.8, 0, 0], [1, 2, 1], (40, 3))
    x, domain = scale(np.concatenate([ours, theirs])), np.repeat([0, 1], 40)
    right = []
    for known, asked in StratifiedKFold(4).split(x, domain):
        fitted = LogisticRegression().fit(x[known], domain[known])
        right += (fitted.predict(x[asked]) == domain[asked]).tolist()
    assert told_apart(ours, theirs) == pytest.approx(np.mean(right))
    assert 0.5 < np.mean(right) < 0.9
    assert told_apart(theirs, ours) == pytest.approx(np.mean(right))
    assert told_apart(5 * ours + 2, 5 * theirs + 2) == pytest.approx(np.mean(right))
    assert told_apart(ours, theirs, directions=3) == told_apart(ours, theirs, directions=99)


def test_told_apart_knows_its_ends() -> None:
    x = np.random.default_rng(0).normal(size=(900, 4))
    assert told_apart(x[:100], x[100:200] + 9) == 1
    assert told_apart(np.ones((6, 2)), np.ones((9, 2))) == 0.5  # nothing to go by
    # However many of each: one domain guessed throughout would be right for 8 in 9.
    assert told_apart(x[:100], x[100:]) == pytest.approx(0.5, abs=0.08)
    assert told_apart(x[:100], x[100:] + 9) == 1
    # The difference lies in a direction of small spread: of the largest it is nothing.
    hidden = np.column_stack([100 * x[:200, 0], np.repeat([0, 1], 100)])
    assert told_apart(hidden[:100], hidden[100:]) == 1
    assert told_apart(hidden[:100], hidden[100:], directions=1) < 0.65


def test_errors() -> None:
    with raises_one_line(ValueError, "sum to 1", "logits"):
        mean_entropy(np.ones((3, 2)))
    with raises_one_line(ValueError, "(n, classes)", "(3,)"):
        mean_entropy(np.ones(3))
    with raises_one_line(ValueError, "3 examples or more", "got 2"):
        soft_neighborhood_density(np.eye(2))
    with raises_one_line(ValueError, "temperature must be above 0", "got 0"):
        soft_neighborhood_density(np.eye(3), temperature=0)
    with raises_one_line(ValueError, "the same features, got 2 and 3"):
        importance_weights(np.ones((3, 2)), np.ones((3, 3)))
    with raises_one_line(ValueError, "2 examples or more, got 1 and 3"):
        told_apart(np.ones((1, 2)), np.ones((3, 2)))
    with raises_one_line(ValueError, "directions", "1 or more", "got 0"):
        told_apart(np.ones((3, 2)), np.ones((3, 2)), directions=0)
    with raises_one_line(ValueError, "one shape (n,)"):
        importance_weighted_accuracy(np.ones(3, int), np.ones(3, int), np.ones(4))
    with raises_one_line(ValueError, "not all 0"):
        importance_weighted_accuracy(np.ones(3, int), np.ones(3, int), np.zeros(3))
