"""Plots: a DataFrame or a Split in, matplotlib ``Axes`` out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from tlkit.domains import Array, Domain, Split, check_seed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "PALETTE",
    "SOURCE_COLOR",
    "TARGET_COLOR",
    "plot_calibration",
    "plot_confusion",
    "plot_demo",
    "plot_examples",
    "plot_few_shot",
    "plot_history",
]

# Blue is the source and what is frozen; orange is the target and what learns.
SOURCE_COLOR = "#2b6cb0"
TARGET_COLOR = "#c2410c"
# For what is neither: blue and orange, then amber, plum and sky. A test holds that they stay apart for colour-blind
# readers; shapes do so in print.
PALETTE = (SOURCE_COLOR, TARGET_COLOR, "#e0a030", "#4c1d4f", "#86c5da")
_MARKERS = "osD^vX"  # one more than colours, so that a sixth line is not the first one again


def _looks() -> Iterator[tuple[str, str]]:
    """A colour and a marker for each line of a plot, as many as it has."""
    return zip(cycle(PALETTE), cycle(_MARKERS))


def _axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """The given axes, or new ones: pyplot's in a notebook (so that they show), a plain figure's elsewhere."""
    if ax is not None:
        return ax
    if "inline" in mpl.get_backend().lower() or "ipympl" in mpl.get_backend().lower():
        import matplotlib.pyplot as plt

        return plt.subplots(figsize=size, layout="constrained")[1]
    return Figure(figsize=size, layout="constrained").subplots()


def plot_examples(
    domain: Domain | Split, *, columns: int = 10, rows: int = 3, seed: int = 0, ax: Axes | None = None
) -> Axes:
    """Training images in a grid, one class per column where there are as many columns as classes or more.

    Args:
        domain: A domain, or a split of images.
        columns: Classes shown, from the first on.
        rows: Images of each.
        seed: Chooses the images.
        ax: Axes to draw on.
    """
    for name, value in (("columns", columns), ("rows", rows)):
        if value < 1:
            raise ValueError(f"{name} must be 1 or more, got {value}.")
    check_seed(seed)
    split = domain.train if isinstance(domain, Domain) else domain
    rng = np.random.default_rng(seed)
    labels = np.unique(split.y)[:columns]
    columns_of_images = []
    for label in labels:
        members = np.flatnonzero(split.y == label)
        chosen = rng.choice(members, size=rows, replace=len(members) < rows)
        columns_of_images.append(np.concatenate(list(split.x[chosen]), axis=0))
    picture = np.concatenate(columns_of_images, axis=1)
    ax = _axes(ax, (0.7 * len(labels), 0.7 * rows + 0.3))
    # Pixels are data here: none is mixed with its neighbour, at any size of the figure.
    ax.imshow(picture.squeeze(), cmap="gray_r" if picture.shape[-1] == 1 else None, interpolation="nearest")
    width = split.x.shape[2]
    ax.set_xticks(width * (np.arange(len(labels)) + 0.5))
    names = [domain.classes[label] for label in labels] if isinstance(domain, Domain) else [str(v) for v in labels]
    ax.set_xticklabels(names)
    ax.set_yticks([])
    ax.tick_params(length=0)
    if isinstance(domain, Domain):
        ax.set_title(domain.name, loc="left")
    sns.despine(ax=ax, left=True, bottom=True)
    return ax


def plot_history(history: pd.DataFrame, *, metric: str = "accuracy", ax: Axes | None = None) -> Axes:
    """Loss or accuracy against the epoch, one line per split, from what :func:`tlkit.training.fit` returned.

    Raises:
        ValueError: ``metric`` is not ``"accuracy"`` or ``"loss"``.
    """
    if metric not in ("accuracy", "loss"):
        raise ValueError(f"metric must be 'accuracy' or 'loss', got {metric!r}.")
    ax = _axes(ax, (5, 3.2))
    palette = {"train": SOURCE_COLOR, "validation": TARGET_COLOR}
    if len(history):
        sns.lineplot(history, x="epoch", y=metric, hue="split", palette=palette, marker="o", ax=ax)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="epoch", ylabel="accuracy" if metric == "accuracy" else "cross-entropy (nats)")
    sns.despine(ax=ax)
    return ax


def plot_few_shot(curve: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Accuracy against labels per class (log scale), one line per method, with 95 % intervals over seeds.

    ``curve`` is what :func:`tlkit.evaluation.few_shot_curve` returned.
    """
    from tlkit.evaluation import mean_interval

    ax = _axes(ax, (6, 3.8))
    methods = list(curve.groupby("method", sort=False))
    for (method, rows), (color, marker) in zip(methods, _looks(), strict=False):
        points = [(k, *mean_interval(group["accuracy"].to_numpy())) for k, group in rows.groupby("per_class")]
        k, mean, half = (np.array(column, dtype=float) for column in zip(*points, strict=True))
        ax.plot(k, mean, marker=marker, color=color, label=str(method))
        ax.fill_between(k, mean - half, np.minimum(mean + half, 1), color=color, alpha=0.2, linewidth=0)
    ax.set_xscale("log")
    ticks: Sequence[int] = sorted(curve["per_class"].unique())
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set(xlabel="labels per class", ylabel="test accuracy")
    ax.legend(title="", frameon=False)
    sns.despine(ax=ax)
    return ax


def plot_demo(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Target accuracy of each method as a bar with its 95 % interval, the source accuracy it leaves as a diamond.

    One draw of labels has no interval, and the legend then names none.

    ``table`` is what :func:`tlkit.demo.summarise` returned.
    """
    ax = _axes(ax, (7.5, 3.6))
    positions = np.arange(len(table))[::-1]
    ax.barh(
        positions,
        table["target_accuracy"],
        xerr=table["target_ci95"],
        color=TARGET_COLOR,
        alpha=0.85,
        height=0.6,
        error_kw={"ecolor": "0.25", "capsize": 3},
        label="target accuracy (95 % interval)" if table["target_ci95"].notna().any() else "target accuracy",
    )
    if table["source_accuracy"].notna().any():
        ax.plot(table["source_accuracy"], positions, "D", color=SOURCE_COLOR, linestyle="none", label="source accuracy")
    for position, value in zip(positions, table["target_accuracy"], strict=True):
        ax.text(0.01, position, f"{value:.3f}", va="center", color="white", fontsize=9)
    ax.set_yticks(positions, table["method"])
    ax.set(xlim=(0, 1.02), xlabel="test accuracy")
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    sns.despine(ax=ax, left=True)
    ax.tick_params(axis="y", length=0)
    return ax


def plot_confusion(matrix: Array, classes: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """A confusion matrix: rows are the right classes, columns the answers; errors are magenta, right answers grey.

    The shade grows with the share of the row's examples, errors up to the largest error, so that a few confusions show
    beside many right answers; cells with none are left empty.

    Args:
        matrix: Counts ``(n, n)``, as scikit-learn's ``confusion_matrix(labels, predictions)``.
        classes: The n names.
        ax: Axes to draw on.

    Raises:
        ValueError: ``matrix`` is not square, or ``classes`` does not name its rows.
    """
    counts = np.asarray(matrix)
    if counts.shape != (len(classes), len(classes)):
        raise ValueError(f"matrix must have shape ({len(classes)}, {len(classes)}), got {counts.shape}.")
    ax = _axes(ax, (0.45 * len(classes) + 1, 0.45 * len(classes) + 0.6))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(classes), dtype=bool)
    for hidden, color in ((~right, "0.35"), (right, "#97266d")):
        sns.heatmap(
            share,
            mask=hidden | (counts == 0),
            annot=counts,
            fmt="g",
            cmap=sns.light_palette(color, as_cmap=True),
            vmin=0,
            vmax=max(float(share[~hidden].max(initial=0)), 1e-9),
            square=True,
            cbar=False,
            linewidths=0.5,
            xticklabels=list(classes),
            yticklabels=list(classes),
            ax=ax,
        )
    ax.set(xlabel="answer", ylabel="right class")
    ax.tick_params(length=0, rotation=0)
    sns.despine(ax=ax, left=False, bottom=False, top=False, right=False)
    return ax


def plot_calibration(tables: Mapping[str, pd.DataFrame], *, ax: Axes | None = None) -> Axes:
    """A reliability diagram: accuracy against confidence, one line per model; the dashes are perfect calibration.

    Below the dashes a model is too sure of itself, above them not sure enough. The area of a point grows with the
    share of the examples in its bin. The line joins bins that hold a hundredth of the examples or more: what smaller
    ones show is chance. The legend gives the expected calibration error.

    Args:
        tables: What :func:`tlkit.evaluation.calibration` returned, each under a name.
        ax: Axes to draw on.
    """
    from tlkit.evaluation import calibration_error

    ax = _axes(ax, (4.6, 4.2))
    ax.plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=1)
    for (name, table), (color, marker) in zip(tables.items(), _looks(), strict=False):
        filled = table[table["count"] > 0]
        share = filled["count"] / filled["count"].sum()
        joined = filled[share >= 0.01]
        label = f"{name} (error {calibration_error(table):.3f})"
        across, upward = joined["confidence"], joined["accuracy"]
        ax.plot(across, upward, color=color, linewidth=1, marker=marker, markersize=4, label=label)
        places = filled["confidence"], filled["accuracy"]
        ax.scatter(*places, s=12 + 300 * share, marker=marker, color=color, alpha=0.7, linewidths=0)
    ax.set(xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
    ax.set(xlabel="confidence: probability of the answer", ylabel="accuracy: share of right answers")
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.15))
    sns.despine(ax=ax)
    return ax


def plot_audit(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """What was meant against what moved, one column per layer from input to output: blue is still, orange moves.

    A cross marks each layer that did not do what was meant. The lower row shows the statistics of BatchNorm.

    Args:
        table: What :func:`tlkit.audit.audit_fit` returned.
        ax: Axes to draw on.

    Raises:
        ValueError: The table is none of these.
    """
    wanted = {"layer", "stage", "meant", "weights", "weights_moved", "statistics", "statistics_moved", "verdict"}
    if not wanted <= set(table.columns) or not len(table):
        columns = ", ".join(map(str, table.columns))
        raise ValueError(f"table must come from audit_fit, got {len(table)} rows with columns {columns}.")
    n, stages = len(table), table["stage"].astype(str)
    named = not stages.any()  # without stages each layer is named
    ax = _axes(ax, (min(14, max(5, 0.32 * n + 1.5)), 3.4 if named else 2.4))
    for row, (column, shown) in enumerate(
        (
            (table["meant"] == "learn", np.ones(n, bool)),
            (table["weights_moved"], table["weights"].to_numpy() > 0),
            (table["statistics_moved"], table["statistics"].to_numpy() > 0),
        )
    ):
        for x in np.flatnonzero(shown).tolist():
            color = TARGET_COLOR if column.iloc[x] else SOURCE_COLOR
            ax.add_patch(Rectangle((x - 0.45, row - 0.42), 0.9, 0.84, facecolor=color, edgecolor="none"))
    for x in np.flatnonzero(~table["verdict"].str.endswith("as meant")).tolist():
        row = 2 if str(table["verdict"].iloc[x]).startswith("statistics") else 1
        ax.plot(x, row, "x", color="white", markersize=7, markeredgewidth=2.5)
        ax.add_patch(Rectangle((x - 0.48, -0.48), 0.96, 2.96, fill=False, edgecolor="0.15", linewidth=1.5))
    ax.set(xlim=(-0.6, n - 0.4), ylim=(2.6, -0.6))
    ax.set_yticks([0, 1, 2], ["meant", "weights", "statistics"])
    starts = [x for x in range(n) if x == 0 or stages.iloc[x] != stages.iloc[x - 1]]
    if named:
        ax.set_xticks(range(n), table["layer"].str.split("/").str[-1], rotation=90, fontsize=8)
    else:
        for x in starts[1:]:
            ax.axvline(x - 0.5, color="0.6", linewidth=0.8, zorder=0)
        centres = [(a + b - 1) / 2 for a, b in zip(starts, [*starts[1:], n], strict=True)]
        ax.set_xticks(centres, [stages.iloc[x] for x in starts])
        ax.set_xlabel("stage")
    handles = [Rectangle((0, 0), 1, 1, color=color) for color in (SOURCE_COLOR, TARGET_COLOR)]
    ax.legend(
        handles, ["frozen, still", "learns, moved"], frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1)
    )
    sns.despine(ax=ax, left=True, bottom=True)
    ax.tick_params(length=0)
    return ax
