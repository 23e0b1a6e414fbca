"""Transferability scores against slow implementations of the papers' formulas, closed forms and invariants."""

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from helpers import raises_one_line
from scipy import optimize, stats
from sklearn.covariance import LedoitWolf

from tlkit.transferability import h_score, leep, log_me, nce

Array = np.ndarray
SHAPES = [
    pytest.param(90, 5, 3, id="many examples"),
    pytest.param(30, 25, 4, id="hardly more examples than features"),
    pytest.param(20, 40, 3, id="more features than examples"),
    pytest.param(40, 1, 2, id="one feature"),
]


def features_of_classes(n: int, d: int, n_classes: int, *, seed: int = 0, signal: float = 1.0) -> tuple[Array, Array]:
    """Features whose mean depends on the class, correlated and off centre; every class occurs."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % n_classes)
    means = signal * rng.normal(size=(n_classes, d))
    return (means[y] + rng.normal(size=(n, d))) @ rng.normal(size=(d, d)) + rng.normal(size=d), y


def probabilities_of_classes(n: int, n_source: int, n_classes: int, *, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % n_classes)
    logits = 2 * rng.normal(size=(n_classes, n_source))[y] + rng.normal(size=(n, n_source))
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), y


def rotation(d: int, seed: int = 5) -> Array:
    return stats.ortho_group.rvs(d, random_state=seed) if d > 1 else -np.eye(1)


def label_entropy(y: Array) -> float:
    return float(stats.entropy(np.bincount(y)))


# LogME


def marginal_log_likelihood(x: Array, target: Array, log_alpha: float, log_beta: float) -> float:
    """The evidence by its definition: with the weights integrated out, the target is Gaussian."""
    covariance = np.eye(len(x)) / math.exp(log_beta) + x @ x.T / math.exp(log_alpha)
    return float(stats.multivariate_normal(np.zeros(len(x)), covariance).logpdf(target))


def slow_log_me(x: Array, y: Array) -> float:
    """Maximum over alpha and beta by a simplex from several starts, one class after the other."""
    best = []
    for label in np.unique(y):
        target = (y == label).astype(float)
        found = [
            optimize.minimize(
                lambda logs, target=target: -marginal_log_likelihood(x, target, *logs),
                start,
                method="Nelder-Mead",
                bounds=[(-12, 16), (-8, 16)],
                options={"xatol": 1e-7, "fatol": 1e-10, "maxiter": 4000},
            )
            for start in ([0.0, 0.0], [6.0, 3.0])
        ]
        best.append(max(-result.fun for result in found) / len(y))
    return float(np.mean(best))


@pytest.mark.parametrize(("n", "d", "n_classes"), [(40, 5, 3), (30, 25, 4), (40, 1, 2)])
def test_log_me_is_the_greatest_evidence(n: int, d: int, n_classes: int) -> None:
    x, y = features_of_classes(n, d, n_classes)
    assert log_me(x, y) == pytest.approx(slow_log_me(x, y), abs=1e-6)


def papers_iteration(x: Array, y: Array) -> float:
    """The fixed point of You et al., written with the matrices of the paper."""
    evidence = []
    gram = x.T @ x
    for label in np.unique(y):
        target, alpha, beta = (y == label).astype(float), 1.0, 1.0
        for _ in range(3000):
            precision = alpha * np.eye(x.shape[1]) + beta * gram
            weights = beta * np.linalg.solve(precision, x.T @ target)
            gamma = np.trace(np.linalg.solve(precision, beta * gram))
            error = np.sum((x @ weights - target) ** 2)
            alpha, beta = gamma / (weights @ weights), (len(y) - gamma) / error
        precision = alpha * np.eye(x.shape[1]) + beta * gram
        weights = beta * np.linalg.solve(precision, x.T @ target)
        evidence.append(
            len(y) / 2 * math.log(beta / (2 * math.pi))
            + x.shape[1] / 2 * math.log(alpha)
            - beta / 2 * np.sum((x @ weights - target) ** 2)
            - alpha / 2 * weights @ weights
            - np.linalg.slogdet(precision)[1] / 2
        )
    return float(np.mean(evidence) / len(y))


@pytest.mark.parametrize(("n", "d", "n_classes"), [(90, 5, 3), (30, 12, 3), (40, 3, 2)])
def test_log_me_is_where_the_papers_iteration_ends(n: int, d: int, n_classes: int) -> None:
    x, y = features_of_classes(n, d, n_classes, seed=1)
    assert log_me(x, y) == pytest.approx(papers_iteration(x, y), abs=1e-6)


def test_log_me_where_the_labels_can_be_fitted_exactly_is_no_less_than_any_evidence() -> None:
    x, y = features_of_classes(20, 40, 3)
    score = log_me(x, y)
    assert math.isfinite(score)
    targets = [(y == label).astype(float) for label in range(3)]
    for log_alpha in range(-4, 10, 2):
        for log_beta in range(-4, 16, 2):
            some = np.mean([marginal_log_likelihood(x, target, log_alpha, log_beta) for target in targets]) / 20
            assert score >= some - 1e-9


@pytest.mark.parametrize(("n", "d", "n_classes"), SHAPES)
@pytest.mark.parametrize("factor", [1e-200, 1e-4, 7.0, 1e200])
def test_log_me_does_not_see_rotation_or_scale(n: int, d: int, n_classes: int, factor: float) -> None:
    x, y = features_of_classes(n, d, n_classes)
    assert log_me(factor * x @ rotation(d), y) == pytest.approx(log_me(x, y), abs=1e-8)


def test_log_me_of_padded_features_is_the_same() -> None:
    x, y = features_of_classes(60, 5, 3)
    assert log_me(np.hstack([x, np.zeros((60, 7))]), y) == pytest.approx(log_me(x, y), abs=1e-9)


def log_me_without_features(y: Array) -> float:
    shares = np.bincount(y) / len(y)
    return float(np.mean(-(np.log(2 * np.pi * shares) + 1) / 2))


def test_log_me_of_useless_features_in_closed_form() -> None:
    y = np.array([0] * 10 + [1] * 20 + [2] * 30)
    assert log_me(np.zeros((60, 4)), y) == pytest.approx(log_me_without_features(y), abs=1e-12)
    alternating = np.tile([1.0, -1.0], 30)[:, None]  # orthogonal to every class's indicator
    assert log_me(alternating, y) == pytest.approx(log_me_without_features(y), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_useless_features_are_the_least_log_me(seed: int) -> None:
    noise, y = features_of_classes(50, 30, 4, seed=seed, signal=0)
    assert log_me(noise - noise.mean(axis=0), y) >= log_me_without_features(y)


def test_log_me_of_one_feature_in_closed_form() -> None:
    # With s = x'x, e = (x'y)^2/s and t = y'y - e, the evidence is -n/2 (log(2 pi v) + 1) + log(u)/2, where
    # u = ratio/(ratio + s) and v = (e u + t)/n; its derivative in u is 0 at u = t/((n - 1) e).
    y = np.tile([0, 1], 20)
    x = np.tile([1.0, 1.0, 0.0, 0.0], 10)  # half of it in each class, so that both classes have the same evidence
    explained = (x @ (y == 0)) ** 2 / (x @ x)
    unexplained = 20 - explained
    u = unexplained / (39 * explained)
    variance = (explained * u + unexplained) / 40
    expected = -(math.log(2 * math.pi * variance) + 1) / 2 + math.log(u) / 80
    assert log_me(x[:, None], y) == pytest.approx(expected, abs=1e-12)


def test_log_me_where_the_evidence_has_no_maximum() -> None:
    y = np.array([0, 1, 2, 0, 1, 2])
    with raises_one_line(ValueError, "given twice?", "rank 3", "6 examples"):
        log_me(np.eye(3)[y], y)
    assert math.isfinite(log_me(np.eye(3)[y] + 1e-3 * np.random.default_rng(0).normal(size=(6, 3)), y))


def test_log_me_of_an_example_given_twice() -> None:
    x, y = features_of_classes(20, 40, 3)
    twice = np.append(np.arange(20), 4)
    with raises_one_line(ValueError, "given twice?", "rank 20", "21 examples"):
        log_me(x[twice], y[twice])
    assert math.isfinite(log_me(x[twice, :10], y[twice]))  # with few features a copy is one more example


def test_the_evidence_of_an_example_given_twice_does_grow_without_end() -> None:
    x, y = features_of_classes(20, 40, 3)
    twice = np.append(np.arange(20), 4)
    target = (y[twice] == 0).astype(float)
    grown = [marginal_log_likelihood(x[twice], target, 4, log_beta) for log_beta in (10, 12, 14)]
    np.testing.assert_allclose(np.diff(grown), 1, atol=1e-2)  # half of each step in log beta


# H-score


def slow_h_score(x: Array, y: Array, *, shrinkage: bool) -> float:
    """Covariances written out, and inverted."""
    centred = x - x.mean(axis=0)
    covariance = sum(np.outer(row, row) for row in centred) / len(x)
    of_means = np.zeros_like(covariance)
    for label in np.unique(y):
        mean = centred[y == label].mean(axis=0)
        of_means += np.mean(y == label) * np.outer(mean, mean)
    if shrinkage:
        shrunk = LedoitWolf().fit(x)
        return float((1 - shrunk.shrinkage_) * np.trace(np.linalg.inv(shrunk.covariance_) @ of_means))
    return float(np.trace(np.linalg.pinv(covariance, rcond=1e-12) @ of_means))


@pytest.mark.parametrize(("n", "d", "n_classes"), SHAPES)
@pytest.mark.parametrize("shrinkage", [False, True])
def test_h_score_is_the_trace_of_its_formula(n: int, d: int, n_classes: int, shrinkage: bool) -> None:
    x, y = features_of_classes(n, d, n_classes)
    x /= np.abs(x).max()
    expected = slow_h_score(x, y, shrinkage=shrinkage)
    assert h_score(x, y, shrinkage=shrinkage) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("n", "d", "n_classes"), SHAPES)
def test_h_score_lies_in_its_range_and_shrinkage_lowers_it(n: int, d: int, n_classes: int) -> None:
    x, y = features_of_classes(n, d, n_classes)
    plain, shrunk = h_score(x, y), h_score(x, y, shrinkage=True)
    assert 0 <= shrunk <= plain + 1e-9
    assert plain <= min(d, n_classes - 1) + 1e-9


def test_h_score_does_not_see_an_affine_map() -> None:
    x, y = features_of_classes(80, 6, 3)
    mapped = x @ np.random.default_rng(9).normal(size=(6, 6)) + 3
    assert h_score(mapped, y) == pytest.approx(h_score(x, y), rel=1e-9)


@pytest.mark.parametrize(("n", "d", "n_classes"), SHAPES)
def test_shrunk_h_score_does_not_see_rotation_shift_or_scale(n: int, d: int, n_classes: int) -> None:
    x, y = features_of_classes(n, d, n_classes)
    mapped = 1e-3 * x @ rotation(d) + 2
    assert h_score(mapped, y, shrinkage=True) == pytest.approx(h_score(x, y, shrinkage=True), rel=1e-6)


def test_h_score_of_one_feature_is_the_correlation_ratio() -> None:
    x, y = features_of_classes(60, 1, 4)
    means = np.array([x[y == label].mean() for label in y])
    assert h_score(x, y) == pytest.approx(means.var() / x.var(), rel=1e-10)


def test_plain_h_score_of_more_features_than_examples_says_nothing_and_the_shrunk_one_does() -> None:
    noise, y = features_of_classes(30, 50, 4, signal=0)
    good, same_y = features_of_classes(30, 50, 4, signal=5)
    assert np.array_equal(y, same_y)
    assert h_score(noise, y) == pytest.approx(3, abs=1e-8)
    assert h_score(good, y) == pytest.approx(3, abs=1e-8)
    assert h_score(good, y, shrinkage=True) > 2 * h_score(noise, y, shrinkage=True)


def test_h_score_of_features_that_are_the_class_is_its_greatest() -> None:
    y = np.arange(40) % 4
    assert h_score(np.eye(4)[y], y) == pytest.approx(3, abs=1e-10)


@pytest.mark.parametrize("shrinkage", [False, True])
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6])
def test_h_score_of_constant_features_is_0(shrinkage: bool, constant: float) -> None:
    assert h_score(np.full((12, 3), constant), np.arange(12) % 3, shrinkage=shrinkage) == 0


def test_h_score_of_equal_class_means_is_0() -> None:
    x = np.random.default_rng(0).normal(size=(10, 3))
    assert h_score(np.vstack([x, -x, x, -x]), np.repeat([0, 1], 20)) == pytest.approx(0, abs=1e-12)


# LEEP and NCE


def slow_leep(theta: Array, y: Array) -> float:
    n, n_source = theta.shape
    joint: dict[tuple[int, int], float] = {}
    marginal = [0.0] * n_source
    for i in range(n):
        for z in range(n_source):
            joint[int(y[i]), z] = joint.get((int(y[i]), z), 0.0) + theta[i, z] / n
            marginal[z] += theta[i, z] / n
    total = 0.0
    for i in range(n):
        likelihood = sum(joint[int(y[i]), z] / marginal[z] * theta[i, z] for z in range(n_source) if marginal[z] > 0)
        total += math.log(likelihood)
    return total / n


def slow_nce(z: Array, y: Array) -> float:
    pairs, singles = Counter(zip(z.tolist(), y.tolist(), strict=True)), Counter(z.tolist())
    return sum(count / len(y) * math.log(count / singles[source]) for (source, _), count in pairs.items())


@pytest.mark.parametrize(("n", "n_source", "n_classes"), [(60, 5, 3), (12, 40, 4), (30, 1, 2)])
def test_leep_and_nce_are_their_loops(n: int, n_source: int, n_classes: int) -> None:
    theta, y = probabilities_of_classes(n, n_source, n_classes)
    assert leep(theta, y) == pytest.approx(slow_leep(theta, y), abs=1e-12)
    z = theta.argmax(axis=1)
    assert nce(z, y) == pytest.approx(slow_nce(z, y), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_leep_and_nce_lie_in_their_range(seed: int) -> None:
    theta, y = probabilities_of_classes(40, 8, 4, seed=seed)
    assert -label_entropy(y) <= leep(theta, y) <= 0
    assert -label_entropy(y) <= nce(theta.argmax(axis=1), y) <= 0


@pytest.mark.parametrize("seed", range(5))
def test_leep_is_bounded_below_by_nce(seed: int) -> None:
    # Nguyen et al., property 1: LEEP >= NCE + the mean log probability of the class that the head names.
    theta, y = probabilities_of_classes(40, 8, 4, seed=seed)
    named = float(np.log(theta.max(axis=1)).mean())
    assert leep(theta, y) >= nce(theta.argmax(axis=1), y) + named


def test_leep_of_certain_answers_is_nce() -> None:
    rng = np.random.default_rng(0)
    z, y = rng.integers(0, 6, 50), rng.permutation(np.arange(50) % 3)
    assert leep(np.eye(9)[z], y) == pytest.approx(nce(z, y), abs=1e-12)  # classes 6 to 8 are never given


def test_nce_of_the_labels_themselves_is_0() -> None:
    y = np.arange(30) % 4
    assert nce(y, y) == 0
    assert math.copysign(1, nce(y, y)) == 1
    assert nce(7 - 2 * y, y) == 0  # names do not matter, nor their order
    assert leep(np.eye(4)[y], y) == 0


def test_what_says_nothing_scores_minus_the_entropy_of_the_labels() -> None:
    y = np.repeat([0, 1, 2], [6, 12, 6])
    independent = np.tile([0, 1, 2, 3, 4, 5], 4)  # each source class meets the classes 1 : 2 : 1
    assert nce(independent, y) == pytest.approx(-label_entropy(y), abs=1e-12)
    assert nce(np.zeros(24, int), y) == pytest.approx(-label_entropy(y), abs=1e-12)
    assert leep(np.tile([0.2, 0.5, 0.3], (24, 1)), y) == pytest.approx(-label_entropy(y), abs=1e-12)


def test_leep_of_float32_and_float16_probabilities() -> None:
    theta, y = probabilities_of_classes(60, 20, 3)
    assert leep(theta.astype(np.float32), y) == pytest.approx(leep(theta, y), abs=1e-5)
    assert leep(theta.astype(np.float16), y) == pytest.approx(leep(theta, y), abs=1e-2)


# All of them

FEATURES, LABELS = features_of_classes(24, 4, 3)
PROBABILITIES = probabilities_of_classes(24, 4, 3)[0]
SCORES: list[tuple[Callable[[Array, Array], float], Array]] = [
    (log_me, FEATURES),
    (h_score, FEATURES),
    (lambda x, y: h_score(x, y, shrinkage=True), FEATURES),
    (leep, PROBABILITIES),
    (nce, PROBABILITIES.argmax(axis=1)),
]
NAMES = ["log_me", "h_score", "h_score shrunk", "leep", "nce"]
each_score = pytest.mark.parametrize(("score", "given"), SCORES, ids=NAMES)
each_matrix_score = pytest.mark.parametrize(("score", "given"), SCORES[:4], ids=NAMES[:4])


@each_score
def test_a_score_is_a_float_that_leaves_its_arguments_alone(
    score: Callable[[Array, Array], float], given: Array
) -> None:
    x, y = given.copy(), LABELS.copy()
    x.flags.writeable = y.flags.writeable = False
    assert type(score(x, y)) is float


@each_score
def test_the_order_of_examples_and_the_names_of_classes_do_not_matter(
    score: Callable[[Array, Array], float], given: Array
) -> None:
    order = np.random.default_rng(0).permutation(len(LABELS))
    expected = pytest.approx(score(given, LABELS), rel=1e-9)
    assert score(given[order], LABELS[order]) == expected
    assert score(given, np.array([40, -3, 7])[LABELS]) == expected


@each_score
def test_shuffled_labels_score_lower(score: Callable[[Array, Array], float], given: Array) -> None:
    shuffled = [np.random.default_rng(seed).permutation(LABELS) for seed in range(20)]
    assert score(given, LABELS) > np.mean([score(given, y) for y in shuffled])


@each_score
def test_labels_that_do_not_fit(score: Callable[[Array, Array], float], given: Array) -> None:
    with raises_one_line(ValueError, "same length", "got 24 and 23"):
        score(given, LABELS[:-1])
    with raises_one_line(ValueError, "labels must have shape (n,)", "got (24, 1)"):
        score(given, LABELS[:, None])
    with raises_one_line(ValueError, "labels must have shape (n,)", "got (0,)"):
        score(given, LABELS[:0])
    with raises_one_line(TypeError, "labels must be integers", "float64"):
        score(given, LABELS.astype(float))
    with raises_one_line(ValueError, "two classes or more", "got one, 4"):
        score(given, np.full(24, 4))


@each_matrix_score
def test_matrices_that_do_not_fit(score: Callable[[Array, Array], float], given: Array) -> None:
    with raises_one_line(ValueError, "must have shape (n, d)", "got (24,)"):
        score(given[:, 0], LABELS)
    with raises_one_line(ValueError, "must have shape (n, d)", "got (24, 0)"):
        score(given[:, :0], LABELS)
    with raises_one_line(TypeError, "must be numbers", "got object"):
        score(given.astype(object), LABELS)
    for bad in (np.nan, np.inf):
        broken = given.copy()
        broken[3, 1] = bad
        with raises_one_line(ValueError, "must be finite", "NaN"):
            score(broken, LABELS)


def test_leep_of_what_is_no_probability() -> None:
    with raises_one_line(ValueError, "sum to 1", "got a row that sums to 2"):
        leep(2 * PROBABILITIES, LABELS)
    with raises_one_line(ValueError, "0..1", "got -0.5"):
        leep(np.tile([1.5, -0.5], (24, 1)), LABELS)


def test_nce_of_source_labels_that_are_none() -> None:
    with raises_one_line(TypeError, "source_labels must be integers", "float64"):
        nce(LABELS.astype(float), LABELS)
    with raises_one_line(ValueError, "source_labels must have shape (n,)", "got (24, 4)"):
        nce(np.eye(4, dtype=int)[LABELS], LABELS)
    with raises_one_line(ValueError, "source_labels must have shape (n,)", "got ()"):
        nce(np.array(3), LABELS)
