"""Plots: what is drawn is what was given, the axes say what they show, and nothing outside the figure changes."""

import io
import itertools
import math

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from helpers import raises_one_line, random_split
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from PIL import Image

from tlkit.domains import Domain, Split
from tlkit.evaluation import mean_interval
from tlkit.plots import PALETTE, SOURCE_COLOR, TARGET_COLOR, plot_demo, plot_examples, plot_few_shot, plot_history

HISTORY = pd.DataFrame(
    {
        "epoch": [1, 1, 2, 2, 3, 3],
        "split": ["train", "validation"] * 3,
        "loss": [2.0, 2.1, 1.5, 1.7, 1.0, 1.6],
        "accuracy": [0.2, 0.1, 0.5, 0.4, 0.8, 0.5],
    }
)
CURVE = pd.DataFrame(
    [
        (method, k, 10 * k, seed, min(1.0, base + 0.1 * math.log10(k) + 0.02 * seed))
        for method, base in (("frozen", 0.8), ("pixels", 0.4))
        for k in (1, 5, 20)
        for seed in range(3)
    ],
    columns=["method", "per_class", "labels", "seed", "accuracy"],
)
DEMO = pd.DataFrame(
    {
        "method": ["raw pixels", "zero-shot", "frozen"],
        "target_accuracy": [0.7, 0.8, 0.95],
        "target_ci95": [0.05, float("nan"), 0.01],
        "source_accuracy": [float("nan"), 0.99, 0.98],
        "trainable_weights": [7850, 0, 2570],
        "seconds": [0.1, 2.0, 3.0],
    }
)
DOMAIN = Domain("shapes", random_split(40, classes=4), random_split(8, classes=4), ("a", "b", "c", "d"))

PLOTS = {
    "examples": lambda **ax: plot_examples(DOMAIN, **ax),
    "history": lambda **ax: plot_history(HISTORY, **ax),
    "few_shot": lambda **ax: plot_few_shot(CURVE, **ax),
    "demo": lambda **ax: plot_demo(DEMO, **ax),
}


def drawn_lines(ax: Axes) -> dict[str, np.ndarray]:
    """Points of each labelled line, ``(n, 2)``; a legend's own empty lines are left out."""
    return {line.get_label(): line.get_xydata() for line in ax.get_lines() if len(line.get_xdata())}


@pytest.mark.parametrize("name", PLOTS)
def test_returns_axes_that_render_to_png(name: str) -> None:
    ax = PLOTS[name]()
    assert isinstance(ax, Axes)
    buffer = io.BytesIO()
    ax.get_figure().savefig(buffer, format="png")
    buffer.seek(0)
    picture = np.asarray(Image.open(buffer).convert("L"))
    assert picture.min() < 128 < picture.max()  # something is drawn on something


@pytest.mark.parametrize("name", PLOTS)
def test_draws_on_the_axes_it_is_given(name: str) -> None:
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert PLOTS[name](ax=left) is left
    assert figure.axes == [left, right]
    assert not right.has_data()


@pytest.mark.parametrize("name", PLOTS)
def test_changes_nothing_global(name: str) -> None:
    import matplotlib.pyplot as plt

    settings, figures = dict(mpl.rcParams), plt.get_fignums()
    backend = mpl.get_backend()
    PLOTS[name]()
    assert dict(mpl.rcParams) == settings
    assert plt.get_fignums() == figures
    assert mpl.get_backend() == backend


@pytest.mark.parametrize("name", PLOTS)
def test_leaves_its_input_alone(name: str) -> None:
    frames = [HISTORY, CURVE, DEMO]
    copies = [frame.copy(deep=True) for frame in frames]
    PLOTS[name]()
    for frame, copy in zip(frames, copies, strict=True):
        pd.testing.assert_frame_equal(frame, copy)


@pytest.mark.parametrize("name", ["history", "few_shot", "demo"])
def test_axes_say_what_they_show(name: str) -> None:
    ax = PLOTS[name]()
    assert ax.get_xlabel()
    assert ax.get_ylabel() or name == "demo"  # whose rows are named one by one
    assert ax.get_legend() is not None


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_history_lines_are_the_history(metric: str) -> None:
    ax = plot_history(HISTORY, metric=metric)
    lines = [line.get_xydata() for line in ax.get_lines() if len(line.get_xdata())]
    expected = [HISTORY[HISTORY["split"] == part][["epoch", metric]].to_numpy() for part in ("train", "validation")]
    for line, points in zip(lines, expected, strict=True):
        np.testing.assert_allclose(line, points)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["train", "validation"]
    assert ax.get_xlabel() == "epoch"
    assert ("nats" in ax.get_ylabel()) == (metric == "loss")


def test_history_without_validation() -> None:
    ax = plot_history(HISTORY[HISTORY["split"] == "train"])
    assert len([line for line in ax.get_lines() if len(line.get_xdata())]) == 1


def test_history_of_a_training_stopped_at_once() -> None:
    plot_history(HISTORY.iloc[:0])


def test_history_ticks_are_whole_epochs() -> None:
    ax = plot_history(HISTORY)
    ax.get_figure().canvas.draw()
    ticks = [tick for tick in ax.get_xticks() if 1 <= tick <= 3]
    assert all(tick == int(tick) for tick in ticks)


def test_history_metric_is_checked() -> None:
    with raises_one_line(ValueError, "'accuracy' or 'loss'", "got 'acuracy'"):
        plot_history(HISTORY, metric="acuracy")


def test_few_shot_lines_are_means_and_bands_intervals() -> None:
    ax = plot_few_shot(CURVE)
    lines = drawn_lines(ax)
    assert list(lines) == ["frozen", "pixels"]
    for (method, points), band in zip(lines.items(), ax.collections, strict=True):
        rows = CURVE[CURVE["method"] == method]
        expected = [(k, *mean_interval(rows[rows["per_class"] == k]["accuracy"].to_numpy())) for k in (1, 5, 20)]
        np.testing.assert_allclose(points, [(k, mean) for k, mean, _ in expected])
        corners = {(round(x, 6), round(y, 6)) for x, y in band.get_paths()[0].vertices}
        for k, mean, half in expected:
            assert (k, round(mean - half, 6)) in corners
            assert (k, round(min(mean + half, 1), 6)) in corners
    assert ax.get_xscale() == "log"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "5", "20"]
    assert "per class" in ax.get_xlabel()


def test_few_shot_of_one_seed_has_lines_without_bands() -> None:
    one = CURVE[CURVE["seed"] == 0]
    lines = drawn_lines(plot_few_shot(one))
    for method, points in lines.items():
        np.testing.assert_allclose(points, one[one["method"] == method][["per_class", "accuracy"]].to_numpy())


def test_few_shot_shows_every_method() -> None:
    many = pd.concat([CURVE[CURVE["method"] == "frozen"].assign(method=f"method {i}") for i in range(12)])
    assert list(drawn_lines(plot_few_shot(many))) == [f"method {i}" for i in range(12)]


def test_few_shot_lines_differ_in_colour_or_shape() -> None:
    many = pd.concat([CURVE[CURVE["method"] == "frozen"].assign(method=f"method {i}") for i in range(12)])
    looks = {(line.get_color(), line.get_marker()) for line in plot_few_shot(many).get_lines()}
    assert len(looks) == 12


# What a colour becomes for those who lack one kind of cones, in linear RGB (Machado, Oliveira & Fernandes, 2009).
SEEN_BY = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(color: str, seen: np.ndarray) -> np.ndarray:
    """A colour in CIE's L*a*b*, white of D65."""
    rgb = np.array(colors.to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(np.maximum(TO_XYZ @ (seen @ linear).clip(0, 1) / TO_XYZ.sum(axis=1), 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def nearest(palette: tuple[str, ...], seen: np.ndarray) -> float:
    places = [lab(color, np.asarray(seen)) for color in palette]
    return min(np.linalg.norm(a - b) for a, b in itertools.combinations(places, 2))


@pytest.mark.parametrize("eyes", SEEN_BY)
def test_the_palette_stays_apart_for_colour_blind_readers(eyes: str) -> None:
    assert nearest(PALETTE, SEEN_BY[eyes]) > 20  # seaborn's "colorblind" has 13 for five colours


def test_the_measure_tells_a_palette_that_is_not_safe() -> None:
    assert nearest(("#2ca02c", "#d62728"), SEEN_BY["deuteranopia"]) < 10  # matplotlib's green and red


def test_demo_bars_and_diamonds_are_the_table() -> None:
    ax = plot_demo(DEMO)
    ax.get_figure().canvas.draw()
    bars = {round(bar.get_y() + bar.get_height() / 2, 6): bar.get_width() for bar in ax.patches}
    rows = dict(zip((text.get_text() for text in ax.get_yticklabels()), ax.get_yticks(), strict=True))
    diamonds = next(line for line in ax.get_lines() if line.get_marker() == "D").get_xydata()
    by_row = {round(y, 6): x for x, y in diamonds}
    for row in DEMO.itertuples():
        assert bars[rows[row.method]] == row.target_accuracy
        np.testing.assert_equal(by_row[rows[row.method]], row.source_accuracy)
    assert [*rows] == DEMO["method"].tolist()
    assert sorted(rows.values(), reverse=True) == list(rows.values())  # the first method on top
    (low, high) = ax.get_xlim()
    assert low == 0
    assert high >= 1


def test_demo_error_bars_are_the_intervals() -> None:
    ax = plot_demo(DEMO)
    error_bars = next(container for container in ax.containers if isinstance(container, ErrorbarContainer))
    segments = error_bars.lines[2][0].get_segments()  # a NaN interval gives an empty one
    ends = [
        (segment[:, 0].min(), segment[:, 0].max())
        for segment in segments
        if len(segment) and np.isfinite(segment).all()
    ]
    known = DEMO.dropna(subset="target_ci95")
    np.testing.assert_allclose(
        ends,
        [(row.target_accuracy - row.target_ci95, row.target_accuracy + row.target_ci95) for row in known.itertuples()],
    )


def test_demo_of_one_draw_names_no_interval() -> None:
    def words(table: pd.DataFrame) -> list[str]:
        return [text.get_text() for text in plot_demo(table).get_legend().get_texts()]

    assert "target accuracy (95 % interval)" in words(DEMO)
    assert "target accuracy" in words(DEMO.assign(target_ci95=float("nan")))


def test_source_and_target_keep_their_colours_and_differ_in_lightness() -> None:
    ax = plot_demo(DEMO)
    assert colors.same_color(ax.patches[0].get_facecolor()[:3], TARGET_COLOR)
    assert colors.same_color(
        next(line for line in ax.get_lines() if line.get_marker() == "D").get_color(), SOURCE_COLOR
    )


def tiles(ax: Axes, size: int = 8) -> np.ndarray:
    picture = np.asarray(ax.images[0].get_array())
    rows, columns = picture.shape[0] // size, picture.shape[1] // size
    return picture.reshape(rows, size, columns, size, -1).swapaxes(1, 2)


@pytest.mark.parametrize("channels", [1, 3])
def test_examples_are_images_of_the_class_above_them(channels: int) -> None:
    split = random_split(40, classes=4, shape=(8, 8, channels))
    domain = Domain("shapes", split, split, ("a", "b", "c", "d"))
    ax = plot_examples(domain, columns=3, rows=2)
    grid = tiles(ax)
    assert grid.shape == (2, 3, 8, 8, channels)
    for column in range(3):
        allowed = {image.tobytes() for image in split.x[split.y == column]}
        shown = [grid[row, column].astype(np.uint8).tobytes() for row in range(2)]
        assert set(shown) <= allowed
        assert len(set(shown)) == 2
    assert [text.get_text() for text in ax.get_xticklabels()] == ["a", "b", "c"]
    assert ax.get_title(loc="left") == "shapes"


@pytest.mark.parametrize("dpi", [20, 70, 100])
def test_examples_are_drawn_pixel_by_pixel(dpi: int) -> None:
    checkered = np.indices((8, 8)).sum(axis=0)[None, :, :, None] % 2 * 255
    split = Split(np.repeat(checkered, 6, axis=0).astype(np.uint8), np.arange(6) % 3)
    ax = plot_examples(split, rows=2)
    ax.figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    drawn = ax.images[0].make_image(canvas.get_renderer())[0]
    seen = drawn[drawn[..., 3] == 255][:, :3]
    assert {tuple(color) for color in seen.tolist()} == {(0, 0, 0), (255, 255, 255)}  # no grey between


def test_examples_depend_on_the_seed_alone() -> None:
    one, again, other = (tiles(plot_examples(DOMAIN, seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_examples_of_a_split_are_named_by_their_label() -> None:
    split = random_split(9, classes=3)
    ax = plot_examples(split[split.y > 0], rows=5)  # more rows than images: some are shown twice
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "2"]
    assert tiles(ax).shape[:2] == (5, 2)


@pytest.mark.parametrize("what", ["columns", "rows"])
def test_examples_need_a_row_and_a_column(what: str) -> None:
    with raises_one_line(ValueError, f"{what} must be", "1 or more", "got 0"):
        plot_examples(DOMAIN, **{what: 0})
