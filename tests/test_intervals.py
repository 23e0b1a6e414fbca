"""How sure a score is: intervals and tests against simulation and closed forms, calibration against a literal loop."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from helpers import raises_one_line
from matplotlib import colors
from matplotlib.axes import Axes
from scipy import stats
from scipy.special import softmax
from sklearn.metrics import confusion_matrix, f1_score, log_loss

from tlkit import plots
from tlkit._keras import keras
from tlkit.domains import Split
from tlkit.evaluation import (
    Interval,
    accuracy,
    bootstrap_interval,
    calibration,
    calibration_error,
    fit_temperature,
    paired_test,
    predict_classes,
    predict_probabilities,
)


def passing_on(n_classes: int) -> keras.Model:
    """A model whose logits are its input, so that a test decides what it answers."""
    logits = keras.Input((n_classes,))
    return keras.Model(logits, keras.layers.Activation("linear")(logits), name="passing_on")


def noisy_answers(n: int, accuracy: float, *, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and answers of which each is right with a probability of ``accuracy``."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    return labels, np.where(rng.random(n) < accuracy, labels, (labels + 1) % classes)


# Probabilities


def test_probabilities_are_the_softmax_of_the_logits() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (40, 4)).astype(np.float32)
    split = Split(logits, np.zeros(40, int))
    by_hand = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum(axis=1, keepdims=True)
    probabilities = predict_probabilities(passing_on(4), split)
    np.testing.assert_allclose(probabilities, by_hand)
    assert probabilities.dtype == np.float64
    np.testing.assert_array_equal(probabilities.argmax(axis=1), predict_classes(passing_on(4), split))


def test_large_logits_do_not_overflow() -> None:
    split = Split(np.array([[1e4, -1e4], [-3e4, 3e4]], np.float32), np.array([0, 1]))
    np.testing.assert_array_equal(predict_probabilities(passing_on(2), split), np.eye(2))


def test_temperature_divides_the_logits() -> None:
    logits = np.random.default_rng(1).normal(0, 3, (30, 3)).astype(np.float32)
    split = Split(logits, np.zeros(30, int))
    warm = predict_probabilities(passing_on(3), split, temperature=2.5)
    np.testing.assert_allclose(warm, softmax(logits.astype(float) / 2.5, axis=1))
    np.testing.assert_array_equal(warm.argmax(axis=1), logits.argmax(axis=1))
    even = predict_probabilities(passing_on(3), split, temperature=1e6)
    np.testing.assert_allclose(even, 1 / 3, atol=1e-4)


@pytest.mark.parametrize("temperature", [0, -1, math.nan, math.inf])
def test_temperature_is_checked(temperature: float) -> None:
    with raises_one_line(ValueError, "temperature must be above 0", f"got {temperature}"):
        predict_probabilities(
            passing_on(2), Split(np.eye(2, dtype=np.float32), np.array([0, 1])), temperature=temperature
        )


# The bootstrap


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_intervals_hold_the_truth_as_often_as_they_say(method: str) -> None:
    truth, confidence, repeats = 0.8, 0.9, 400
    held = 0
    for seed in range(repeats):
        labels, answers = noisy_answers(150, truth, seed=seed)
        interval = bootstrap_interval(labels, answers, confidence=confidence, resamples=400, method=method, seed=seed)
        held += interval.low <= truth <= interval.high
    # What 400 intervals of exactly 90 % would do; three percentage points below it for a discrete, small-sample method.
    low, high = stats.binom.interval(0.999, repeats, confidence)
    assert low - 0.03 * repeats <= held <= high


def test_interval_of_accuracy_is_the_binomial_quantiles() -> None:
    # Resampling right and wrong answers is drawing from a binomial distribution, whose quantiles scipy knows.
    labels, answers = noisy_answers(300, 0.85)
    interval = bootstrap_interval(labels, answers, resamples=20_000)
    share = float((labels == answers).mean())
    expected = stats.binom.ppf([0.025, 0.975], 300, share) / 300
    np.testing.assert_allclose([interval.low, interval.high], expected, atol=2 / 300)  # two answers at most
    assert interval.value == share


def test_width_shrinks_with_the_root_of_the_number_of_examples() -> None:
    widths = []
    for n in (200, 3200):
        labels, answers = noisy_answers(n, 0.8)
        interval = bootstrap_interval(labels, answers)
        widths.append(interval.high - interval.low)
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.2)


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_any_metric_meets_the_drawn_pairs(method: str) -> None:
    labels, answers = noisy_answers(120, 0.7)

    def macro_f1(y: np.ndarray, p: np.ndarray) -> float:
        assert len(y) == len(p)
        assert set(p[y != p]) <= set((y[y != p] + 1) % 3)  # each label still has its own answer
        return float(f1_score(y, p, average="macro"))

    interval = bootstrap_interval(labels, answers, macro_f1, resamples=200, method=method)
    assert interval.value == f1_score(labels, answers, average="macro")
    assert interval.low < interval.value < interval.high


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_accuracy_given_as_a_metric_is_the_default(method: str) -> None:
    labels, answers = noisy_answers(80, 0.7)
    by_metric = bootstrap_interval(labels, answers, lambda y, p: float(np.mean(y == p)), resamples=300, method=method)
    default = bootstrap_interval(labels, answers, resamples=300, method=method)
    np.testing.assert_allclose(dataclasses.astuple(by_metric), dataclasses.astuple(default))


def test_the_metric_may_take_scores_instead_of_classes() -> None:
    labels, answers = noisy_answers(60, 0.7, classes=2)
    scores = answers + np.random.default_rng(0).normal(0, 0.1, 60)
    interval = bootstrap_interval(labels, scores, lambda y, s: float(np.corrcoef(y, s)[0, 1]), resamples=100)
    assert interval.value == pytest.approx(np.corrcoef(labels, scores)[0, 1])


def test_bca_differs_from_the_percentile_where_the_metric_is_skewed() -> None:
    labels, answers = noisy_answers(100, 0.97)
    plain, corrected = (bootstrap_interval(labels, answers, method=method) for method in ("percentile", "BCa"))
    assert corrected.low < plain.low


def test_the_seed_decides() -> None:
    labels, answers = noisy_answers(100, 0.7)
    one, again, other = (
        bootstrap_interval(labels, answers, lambda y, p: float(f1_score(y, p, average="macro")), resamples=50, seed=s)
        for s in (1, 1, 2)
    )
    assert one == again
    assert one != other
    state = np.random.get_state()[1].copy()  # noqa: NPY002 (the global generator is what must not move)
    bootstrap_interval(labels, answers)
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_a_model_without_errors_has_an_interval_without_width() -> None:
    labels = np.arange(20) % 3
    assert bootstrap_interval(labels, labels) == Interval(1.0, 1.0, 1.0)
    with raises_one_line(ValueError, "for 'BCa' vary", "got NaN"):
        bootstrap_interval(labels, labels, method="BCa")


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        pytest.param({"confidence": 95}, ("confidence must be between 0 and 1", "got 95"), id="per cent"),
        pytest.param({"resamples": 1}, ("resamples must be", "2 or more", "got 1"), id="one"),
        pytest.param({"resamples": True}, ("resamples must be", "got True"), id="bool"),
        pytest.param({"method": "bca"}, ("'BCa', 'percentile'", "got 'bca'"), id="spelling"),
    ],
)
def test_bootstrap_arguments_are_checked(arguments: dict, fragments: tuple[str, ...]) -> None:
    with raises_one_line(ValueError, *fragments):
        bootstrap_interval(*noisy_answers(20, 0.5), **arguments)


@pytest.mark.parametrize(
    ("labels", "answers", "fragments"),
    [
        pytest.param([0, 1, 2], [0, 1], ("shape of the labels, (3,)", "got (2,)"), id="lengths"),
        pytest.param([0, 1], np.eye(2), ("(2,)", "got (2, 2)"), id="probabilities"),
        pytest.param([0], [0], ("two examples or more", "got (1,)"), id="one example"),
        pytest.param(np.eye(2), np.eye(2), ("labels must have shape (n,)", "got (2, 2)"), id="one-hot"),
    ],
)
def test_shapes_are_checked(labels: object, answers: object, fragments: tuple[str, ...]) -> None:
    with raises_one_line(ValueError, *fragments):
        bootstrap_interval(labels, answers)
    with raises_one_line(ValueError, *fragments):
        paired_test(labels, answers, answers)


# Two models


def two_models(only_first: int, only_second: int, both: int, neither: int) -> tuple[np.ndarray, ...]:
    """Labels of zeros, and two models' answers with so many examples of each kind."""
    first = np.repeat([0, 1, 0, 1], [only_first, only_second, both, neither])
    second = np.repeat([1, 0, 0, 1], [only_first, only_second, both, neither])
    return np.zeros(len(first), int), first, second


def exact_mcnemar(b: int, c: int) -> float:
    """Twice the smaller tail of ``b + c`` tosses of a fair coin, term by term."""
    n = b + c
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(min(b, c) + 1)) / 2**n)


@pytest.mark.parametrize(("b", "c"), [(0, 1), (1, 0), (8, 2), (2, 8), (5, 5), (30, 12), (0, 12)])
def test_p_value_is_the_exact_mcnemar_test(b: int, c: int) -> None:
    result = paired_test(*two_models(b, c, 50, 7))
    assert result.p_value == pytest.approx(exact_mcnemar(b, c))
    assert (result.only_first, result.only_second) == (b, c)
    assert result.difference == pytest.approx((b - c) / (57 + b + c))


def test_p_value_looks_at_the_discordant_examples_alone() -> None:
    few, many = (paired_test(*two_models(9, 3, both, 2)) for both in (10, 5000))
    assert few.p_value == many.p_value
    assert few.difference > many.difference


def test_swapping_the_models_turns_the_sign() -> None:
    labels, first, second = two_models(12, 4, 60, 3)
    one, other = paired_test(labels, first, second), paired_test(labels, second, first)
    assert (one.difference, one.p_value) == (-other.difference, other.p_value)
    assert (one.only_first, one.only_second) == (other.only_second, other.only_first)
    assert one.low == pytest.approx(-other.high, abs=2 / len(labels))


def test_a_model_against_itself() -> None:
    labels, first, _ = two_models(5, 5, 10, 1)
    result = paired_test(labels, first, first)
    assert dataclasses.astuple(result) == (0.0, 0.0, 0.0, 1.0, 0, 0)


def test_both_wrong_in_another_way_is_no_difference() -> None:
    assert paired_test(np.array([0, 0, 1]), np.array([1, 0, 1]), np.array([2, 0, 1])).p_value == 1


def test_difference_has_the_closed_forms_interval() -> None:
    # The variance of the mean of a +1, 0, -1 gain: (b + c - (b - c)^2 / n) / n^2.
    b, c = 60, 25
    labels, first, second = two_models(b, c, 800, 40)
    n = len(labels)
    result = paired_test(labels, first, second, resamples=10_000)
    half = stats.norm.ppf(0.975) * math.sqrt(b + c - (b - c) ** 2 / n) / n
    np.testing.assert_allclose([result.low, result.high], [(b - c) / n - half, (b - c) / n + half], atol=0.1 * half)


def test_equally_good_models_are_rarely_told_apart() -> None:
    rng = np.random.default_rng(0)
    p_values, repeats = [], 300
    for _ in range(repeats):
        right = rng.random((2, 200)) < 0.8
        p_values.append(paired_test(np.ones(200, int), *right.astype(int), resamples=2).p_value)
    assert np.mean(np.array(p_values) < 0.05) <= stats.binom.ppf(0.999, repeats, 0.05) / repeats


def test_pairing_finds_what_two_intervals_hide() -> None:
    labels, first, second = two_models(12, 1, 150, 20)
    result = paired_test(labels, first, second)
    ends = [bootstrap_interval(labels, answers) for answers in (first, second)]
    assert ends[0].low < ends[1].high  # the two intervals overlap
    assert result.low > 0
    assert result.p_value < 0.05


def test_results_are_frozen_data() -> None:
    result = paired_test(*two_models(3, 1, 10, 1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.p_value = 0.0  # type: ignore[misc]


# Calibration


def random_probabilities(n: int, classes: int = 4, *, seed: int = 0) -> np.ndarray:
    return softmax(np.random.default_rng(seed).normal(0, 2, (n, classes)), axis=1)


def drawn_labels(probabilities: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Labels from the probabilities themselves: the model that gave these is perfectly calibrated."""
    rng = np.random.default_rng(seed)
    return (
        (rng.random((len(probabilities), 1)) > probabilities.cumsum(axis=1))
        .sum(axis=1)
        .clip(0, len(probabilities[0]) - 1)
    )


def literal_error(labels: np.ndarray, probabilities: np.ndarray, bins: int) -> float:
    """Guo et al., 2017, equation 3, example by example."""
    total = 0.0
    for m in range(1, bins + 1):
        inside = [i for i in range(len(labels)) if (m - 1) / bins < max(probabilities[i]) <= m / bins]
        if inside:
            right = sum(int(np.argmax(probabilities[i])) == labels[i] for i in inside) / len(inside)
            sure = sum(max(probabilities[i]) for i in inside) / len(inside)
            total += len(inside) / len(labels) * abs(right - sure)
    return total


@pytest.mark.parametrize("bins", [1, 4, 10, 15])
def test_error_is_the_papers_formula(bins: int) -> None:
    probabilities = random_probabilities(300)
    labels = np.random.default_rng(1).integers(0, 4, 300)
    table = calibration(labels, probabilities, bins=bins)
    assert calibration_error(table) == pytest.approx(literal_error(labels, probabilities, bins))
    assert calibration_error(table) > 0.05  # random labels: else this compares nothing with nothing


def test_table_counts_every_example_once() -> None:
    probabilities = random_probabilities(500)
    labels = drawn_labels(probabilities)
    table = calibration(labels, probabilities, bins=10)
    assert list(table.columns) == ["low", "high", "count", "confidence", "accuracy"]
    assert table["count"].sum() == 500
    np.testing.assert_allclose(table["low"].iloc[1:], table["high"].iloc[:-1])
    assert (table["low"].iloc[0], table["high"].iloc[-1]) == (0, 1)
    filled = table[table["count"] > 0]
    assert ((filled["low"] < filled["confidence"]) & (filled["confidence"] <= filled["high"])).all()
    assert table[table["count"] == 0][["confidence", "accuracy"]].isna().all(axis=None)
    share = (filled["count"] * filled["accuracy"]).sum() / 500
    assert share == pytest.approx((probabilities.argmax(axis=1) == labels).mean())


def test_the_upper_edge_belongs_to_a_bin_and_the_lower_does_not() -> None:
    table = calibration(np.array([0, 0, 1]), np.array([[0.5, 0.5], [0.75, 0.25], [0.0, 1.0]]), bins=4)
    assert table["count"].tolist() == [0, 1, 1, 1]


def test_perfectly_calibrated_data_has_next_to_no_error() -> None:
    probabilities = random_probabilities(50_000)
    calibrated = calibration_error(calibration(drawn_labels(probabilities), probabilities))
    # Each bin's accuracy is off by its standard error, at most 1 / (2 sqrt(count)).
    table = calibration(drawn_labels(probabilities), probabilities)
    bound = (table["count"] / len(probabilities) * 0.5 / np.sqrt(table["count"].clip(lower=1))).sum()
    assert calibrated < bound
    sharper = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)  # too sure of itself
    assert calibration_error(calibration(drawn_labels(probabilities), sharper)) > 10 * calibrated


def test_a_sure_model_that_is_always_wrong_has_the_largest_error() -> None:
    assert calibration_error(calibration(np.zeros(8, int), np.eye(2)[np.ones(8, int)])) == 1
    assert calibration_error(calibration(np.ones(8, int), np.eye(2)[np.ones(8, int)])) == 0


@pytest.mark.parametrize(
    ("labels", "probabilities", "bins", "fragments"),
    [
        pytest.param([0, 1], [[2.0, 1.0], [0.5, 3.0]], 5, ("sum to 1", "softmax"), id="logits"),
        pytest.param([0, 1], [[1.5, -0.5], [0.5, 0.5]], 5, ("0 or more",), id="negative"),
        pytest.param([0, 1], [[math.nan, 1], [0.5, 0.5]], 5, ("0 or more",), id="NaN"),
        pytest.param([0, 1, 0], np.eye(2), 5, ("got (3,) and (2, 2)",), id="lengths"),
        pytest.param([0, 1], [0.5, 0.5], 5, ("(n, classes)", "got (2,) and (2,)"), id="confidences"),
        pytest.param([0, 1], np.eye(2), 0, ("bins must be", "1 or more", "got 0"), id="no bins"),
    ],
)
def test_calibration_arguments_are_checked(
    labels: object, probabilities: object, bins: int, fragments: tuple[str, ...]
) -> None:
    with raises_one_line(ValueError, *fragments):
        calibration(labels, probabilities, bins=bins)


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_temperature_undoes_a_factor_on_calibrated_logits(factor: float) -> None:
    logits = np.random.default_rng(0).normal(0, 2, (20_000, 4))
    labels = drawn_labels(softmax(logits, axis=1))
    split = Split((factor * logits).astype(np.float32), labels)
    temperature = fit_temperature(passing_on(4), split)
    assert temperature == pytest.approx(factor, rel=0.05)
    before, after = (
        calibration_error(calibration(labels, predict_probabilities(passing_on(4), split, temperature=t)))
        for t in (1.0, temperature)
    )
    assert after < 0.02
    assert (after < before / 3) == (factor != 1)


def test_temperature_makes_the_labels_most_likely() -> None:
    logits = np.random.default_rng(2).normal(0, 3, (200, 3)).astype(np.float32)
    split = Split(logits, drawn_labels(softmax(logits / 2, axis=1).astype(float)))
    best = fit_temperature(passing_on(3), split)

    def loss(temperature: float) -> float:
        return log_loss(split.y, predict_probabilities(passing_on(3), split, temperature=temperature))

    assert all(loss(best) <= loss(best * other) for other in (0.5, 0.95, 1.05, 2, 1 / best))


def test_temperature_of_a_model_without_errors_ends_at_its_bound() -> None:
    split = Split(np.eye(3, dtype=np.float32)[[0, 1, 2, 0]], np.array([0, 1, 2, 0]))
    temperature = fit_temperature(passing_on(3), split)
    assert 0.01 <= temperature < 0.05
    assert accuracy(passing_on(3), split) == 1


# Plots


LABELS, ANSWERS = noisy_answers(60, 0.7)
MATRIX = confusion_matrix(LABELS, ANSWERS)
TABLES = {
    "calibrated": calibration(drawn_labels(random_probabilities(400)), random_probabilities(400)),
    "random": calibration(np.arange(400) % 4, random_probabilities(400)),
}
DRAW = {
    "confusion": lambda **ax: plots.plot_confusion(MATRIX, ("a", "b", "c"), **ax),
    "calibration": lambda **ax: plots.plot_calibration(TABLES, **ax),
}


@pytest.mark.parametrize("name", DRAW)
def test_plots_draw_on_the_axes_they_are_given_and_name_them(name: str) -> None:
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

    open_figures = plt.get_fignums()
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert DRAW[name](ax=left) is left
    assert not right.has_data()
    assert left.get_xlabel()
    assert left.get_ylabel()
    alone = DRAW[name]()
    assert isinstance(alone, Axes)
    alone.get_figure().canvas.draw()
    assert plt.get_fignums() == open_figures


def test_confusion_cells_are_the_counts_in_rows_of_right_classes() -> None:
    ax = DRAW["confusion"]()
    shown = {
        (round(text.get_position()[1] - 0.5), round(text.get_position()[0] - 0.5)): text.get_text() for text in ax.texts
    }
    assert shown == {(i, j): str(MATRIX[i, j]) for i, j in np.ndindex(3, 3) if MATRIX[i, j]}
    assert MATRIX.min() == 0  # an empty cell is left empty
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]
    low, high = sorted(ax.get_ylim())
    assert ax.get_ylim() == (high, low)  # the first class on top


def test_confusion_of_a_model_without_errors() -> None:
    ax = plots.plot_confusion(np.diag([3, 0, 2]), ("a", "b", "c"))
    assert sorted(text.get_text() for text in ax.texts) == ["2", "3"]


def test_confusion_needs_a_name_a_row() -> None:
    with raises_one_line(ValueError, "(2, 2)", "got (3, 3)"):
        plots.plot_confusion(MATRIX, ("a", "b"))


def test_reliability_points_are_the_filled_bins() -> None:
    ax = DRAW["calibration"]()
    diagonal, *lines = ax.get_lines()
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    for (name, table), line, points in zip(TABLES.items(), lines, ax.collections, strict=True):
        filled = table[table["count"] > 0]
        for drawn in (points.get_offsets(), line.get_xydata()):  # each bin has a hundredth of the examples or more
            np.testing.assert_allclose(drawn, filled[["confidence", "accuracy"]].to_numpy())
        assert line.get_label() == f"{name} (error {calibration_error(table):.3f})"
    assert not colors.same_color(lines[0].get_color(), lines[1].get_color())
    copies = {name: table.copy() for name, table in TABLES.items()}
    DRAW["calibration"]()
    for name, table in TABLES.items():
        pd.testing.assert_frame_equal(table, copies[name])


def test_no_reliability_line_joins_a_bin_with_less_than_a_hundredth() -> None:
    sure = np.repeat([0.55, 0.75, 0.95], [1, 79, 120])
    table = calibration(np.zeros(200, dtype=int), np.column_stack([sure, 1 - sure]), bins=10)
    ax = plots.plot_calibration({"few in one bin": table})
    np.testing.assert_allclose(ax.collections[0].get_offsets(), [[0.55, 1], [0.75, 1], [0.95, 1]])
    np.testing.assert_allclose(ax.get_lines()[1].get_xydata(), [[0.75, 1], [0.95, 1]])
