"""Plots: a DataFrame or a Split in, matplotlib ``Axes`` out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tlkit.domains import Domain, Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SOURCE_COLOR", "TARGET_COLOR", "plot_demo", "plot_examples", "plot_few_shot", "plot_history"]

# Blue is the source and what is frozen; orange is the target and what learns. They differ in lightness too, so that
# they stay apart for colour-blind readers and in print.
SOURCE_COLOR = "#2b6cb0"
TARGET_COLOR = "#c2410c"


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
    """Training images in a grid, a class a column where there are as many columns as classes or more.

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
    ax.imshow(picture.squeeze(), cmap="gray_r" if picture.shape[-1] == 1 else None)
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
    """Loss or accuracy against the epoch, a line a split, from what :func:`tlkit.training.fit` returned.

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
    ax.set_xlabel("epoch")
    ax.set_ylabel("accuracy" if metric == "accuracy" else "cross-entropy (nats)")
    sns.despine(ax=ax)
    return ax


def plot_few_shot(curve: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Accuracy against labels per class (log scale), a line a method, with 95 % intervals over seeds.

    ``curve`` is what :func:`tlkit.evaluation.few_shot_curve` returned.
    """
    from tlkit.evaluation import mean_interval

    ax = _axes(ax, (6, 3.8))
    methods = list(curve.groupby("method", sort=False))
    for (method, rows), color in zip(methods, sns.color_palette("colorblind", len(methods)), strict=True):
        points = [(k, *mean_interval(group["accuracy"].to_numpy())) for k, group in rows.groupby("per_class")]
        k, mean, half = (np.array(column, dtype=float) for column in zip(*points, strict=True))
        ax.plot(k, mean, marker="o", color=color, label=str(method))
        ax.fill_between(k, mean - half, np.minimum(mean + half, 1), color=color, alpha=0.2, linewidth=0)
    ax.set_xscale("log")
    ticks: Sequence[int] = sorted(curve["per_class"].unique())
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set_xlabel("labels per class")
    ax.set_ylabel("test accuracy")
    ax.legend(title="", frameon=False)
    sns.despine(ax=ax)
    return ax


def plot_demo(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Target accuracy of each method as a bar with its 95 % interval, the source accuracy it leaves as a diamond.

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
        label="target accuracy (95 % interval)",
    )
    ax.plot(table["source_accuracy"], positions, "D", color=SOURCE_COLOR, linestyle="none", label="source accuracy")
    for position, value in zip(positions, table["target_accuracy"], strict=True):
        ax.text(0.01, position, f"{value:.3f}", va="center", color="white", fontsize=9)
    ax.set_yticks(positions, table["method"])
    ax.set_xlim(0, 1.02)
    ax.set_xlabel("test accuracy")
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    sns.despine(ax=ax, left=True)
    ax.tick_params(axis="y", length=0)
    return ax
