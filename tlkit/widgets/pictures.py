"""FreezeLab's pictures, for the page and for readers without a kernel.

The page gets SVG text: drawn in a millisecond, in the page's colours, with words for screen readers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tlkit.experiment import Baselines, Run
from tlkit.plots import SOURCE_COLOR, TARGET_COLOR, plot_audit
from tlkit.widgets.theme import escape, literal, svg_text

__all__ = ["Curve", "draw_curves", "draw_figure", "draw_strip"]

# About as wide as it is on a page of 1280 pixels, so that letters have the size that they say.
WIDTH, HEIGHT = 465, 300
LEFT, RIGHT, TOP, BOTTOM = 40, 130, 12, 36
STRIP_WIDTH = 400
TARGET, SOURCE = 1, 2  # their places in a curve's point
_QUIET = ' class="quiet" font-size="12"'

Scale = Callable[[float], float]
Path = Callable[[Sequence[tuple[float, float]]], str]


@dataclass(frozen=True)
class Curve:
    """Scores against the epoch: rows ``(epoch, target, source)``."""

    points: Sequence[tuple[float, float, float]]


def draw_curves(
    current: Curve | None,
    former: Sequence[Curve],
    baselines: Baselines | None,
    *,
    epochs: int,
    source_before: float,
    source: str = "source",
) -> str:
    """Target and source accuracy by epoch; former runs in grey, baselines dashed, what is lost or not worth it filled.

    Args:
        epochs: Where the axis ends, unless a run is longer.
        source_before: Source accuracy of the pretrained weights, 0..1; NaN when it is not known.
        source: What the source's curve is called.
    """
    curves = [*former, *([current] if current else [])]
    last = max([float(epochs), *(point[0] for curve in curves for point in curve.points)])
    lines = _baseline_lines(baselines)
    seen = [value for curve in curves for point in curve.points for value in point[1:]] + [v for _, v, _ in lines]
    low = min(0.8, math.floor(10 * min(seen, default=0.5)) / 10)

    def x(epoch: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * epoch / last

    def y(accuracy: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - accuracy) / (1 - low)

    def path(points: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{x(epoch):.1f},{y(value):.1f}" for epoch, value in points)

    def lines_of(curve: Curve, look: tuple[str, str], dashes: str) -> list[str]:
        """The target's line whole and the source's dashed, each in its colour."""
        return [
            f'<polyline points="{path([(point[0], point[which]) for point in curve.points])}" fill="none" {stroke}/>'
            for which, stroke in ((SOURCE, f'{look[1]} stroke-dasharray="{dashes}"'), (TARGET, look[0]))
        ]

    parts = [_axes(x, y, low, last, "accuracy" if source == "source" else f"accuracy, {source}")]
    if baselines is not None and not math.isnan(baselines.scratch):
        top = y(baselines.scratch)
        parts.append(
            f'<rect x="{LEFT}" y="{top:.1f}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - BOTTOM - top:.1f}" '
            'fill="var(--tlkit-learns-fill)" opacity="0.6"/>'
        )
        parts.append(svg_text(LEFT + 6, HEIGHT - BOTTOM - 7, "worse than from scratch", more=_QUIET))
    if current and current.points and not math.isnan(source_before):
        parts.append(_forgotten(current, source_before, path, x, y))
    for curve in former:
        parts += lines_of(curve, ('stroke="#9aa4b1" opacity="0.7"',) * 2, "2 3")
    labels: list[tuple[float, str, str]] = []
    for name, value, color in lines:
        parts.append(_level(y(value), f'stroke="{color}" stroke-dasharray="5 4"'))
        labels.append((y(value), f"{name} {value:.2f}", "quiet"))
    if current and current.points:
        orange, blue = "var(--tlkit-target)", "var(--tlkit-source)"
        bold = 'stroke="{}" stroke-width="2.5"'
        parts += lines_of(current, (bold.format(orange), bold.format(blue)), "7 3")
        right, of_target, of_source = current.points[-1]
        corner = f'x="{x(right) - 4:.1f}" y="{y(of_source) - 4:.1f}"'
        parts.append(f'<rect {corner} width="8" height="8" fill="{blue}"/>')
        parts.append(f'<circle cx="{x(right):.1f}" cy="{y(of_target):.1f}" r="5" fill="{orange}"/>')
        labels.append((y(of_target), f"target {of_target:.3f}", orange))
        labels.append((y(of_source), f"{source} {of_source:.3f}", blue))
    parts += _labels(labels)
    words = _words(current, lines, source)
    return (
        f'<svg role="img" aria-label="{words}" viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" '
        f'style="max-width:{WIDTH + 60}px"><title>{words}</title>{"".join(parts)}</svg>'
    )


def _baseline_lines(baselines: Baselines | None) -> list[tuple[str, float, str]]:
    if baselines is None:
        return []
    lines = [
        ("zero-shot", baselines.zero_shot, "var(--tlkit-quiet)"),
        (baselines.raw_name, baselines.raw, "var(--tlkit-quiet)"),
        ("from scratch", baselines.scratch, "var(--tlkit-target)"),
    ]
    return [line for line in lines if not math.isnan(line[1])]


def _level(y: float, look: str) -> str:
    return f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" {look}/>'


def _axes(x: Scale, y: Scale, low: float, last: float, name: str) -> str:
    parts = []
    step = 0.1 if low > 0.25 else 0.2
    value = 1.0
    while value >= low - 1e-9:
        parts.append(_level(y(value), 'stroke="var(--tlkit-line)" stroke-width="0.7"'))
        parts.append(svg_text(LEFT - 8, y(value) + 4, f"{value:.1f}", "end", _QUIET))
        value -= step
    for tick in sorted({0, *(round(last * share) for share in (0.25, 0.5, 0.75, 1))}):
        parts.append(svg_text(x(tick), HEIGHT - BOTTOM + 15, tick, "middle", _QUIET))
    parts.append(svg_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, "epoch", "middle", _QUIET))
    turned = f'{_QUIET} transform="rotate(-90 11 {HEIGHT / 2})"'
    return "".join([*parts, svg_text(11, HEIGHT / 2, name, "middle", turned)])


def _forgotten(current: Curve, before: float, path: Path, x: Scale, y: Scale) -> str:
    """The area between the source's accuracy before and now, where it is worth a word."""
    points = [(epoch, min(source, before)) for epoch, _, source in current.points]
    lost = before - points[-1][1]
    if len(points) < 2 or max(before - value for _, value in points) < 0.01:
        return ""
    back = [(epoch, before) for epoch, _ in reversed(points)]
    area = f'<polygon points="{path([*points, *back])}" fill="var(--tlkit-source)" opacity="0.16"/>'
    if lost < 0.03:
        return area
    epoch = points[-1][0]
    middle = (before + points[-1][1]) / 2
    look = ' font-size="12" style="fill:var(--tlkit-source)"'
    early = x(epoch) < LEFT + 80  # no room before it
    place, anchor = (x(epoch) + 8, "start") if early else (x(epoch) - 8, "end")
    return area + svg_text(place, y(middle) + 4, "forgetting", anchor, look)


def _labels(labels: list[tuple[float, str, str]]) -> list[str]:
    """Texts at the right end of their lines, moved apart so that none covers another."""
    gap, placed = 15.0, []
    lowest = HEIGHT - BOTTOM + 4.0
    labels = sorted(labels)
    positions: list[float] = []
    for wanted, _, _ in labels:
        positions.append(max(wanted + 4, positions[-1] + gap if positions else wanted + 4))
    for i in reversed(range(len(positions))):
        limit = lowest if i == len(positions) - 1 else positions[i + 1] - gap
        positions[i] = min(positions[i], limit)
    for (_, text, color), position in zip(labels, positions, strict=True):
        style = 'class="quiet"' if color == "quiet" else f'style="fill:{color};font-weight:600"'
        placed.append(svg_text(WIDTH - RIGHT + 10, position, text, more=f' font-size="12.5" {style}'))
    return placed


def _words(current: Curve | None, lines: Sequence[tuple[str, float, str]], source: str) -> str:
    """What the picture shows, for those who cannot see it."""
    known = ", ".join(f"{name} {value:.2f}" for name, value, _ in lines)
    if not current or not current.points:
        return f"Accuracy by epoch: no run yet. Baselines: {known or 'none yet'}."
    (first, last) = current.points[0], current.points[-1]
    return (
        f"Accuracy by epoch: target from {first[1]:.2f} to {last[1]:.2f}, "
        f"{source} from {first[2]:.2f} to {last[2]:.2f}. "
        f"Baselines: {known or 'none yet'}."
    )


def draw_strip(table: pd.DataFrame | None) -> str:
    """Meant against moved, one column per layer from input to head; one that is not as meant is framed and crossed.

    Args:
        table: What :func:`tlkit.audit.audit_fit` returned; ``None`` before the first run.
    """
    if table is None or not len(table):
        return '<span class="tlkit-quiet">After a run: which weights were meant to move, and which did.</span>'
    width, height = STRIP_WIDTH, 20
    cell = width / len(table)
    rows = []
    for row, column in enumerate(("meant", "moved")):
        top = 16 + row * (height + 18)
        title = "meant to learn" if column == "meant" else "moved (weights or statistics)"
        rows.append(svg_text(0, top - 5, title, more=_QUIET))
        for i, layer in enumerate(table.itertuples(index=False)):
            learns = layer.meant == "learn"
            on = learns if column == "meant" else bool(layer.weights_moved or layer.statistics_moved)
            as_meant = str(layer.verdict).endswith("as meant")
            fill = "var(--tlkit-target)" if on else "var(--tlkit-frozen-fill)"
            frame = ' stroke="var(--tlkit-text)" stroke-width="2"' if not as_meant else ' stroke="var(--tlkit-line)"'
            hint = f"{layer.layer} ({layer.kind}): {layer.verdict}; largest change {layer.max_abs_change:.2g}"
            left = i * cell
            rows.append(
                f'<rect x="{left + 0.8:.1f}" y="{top}" width="{max(cell - 1.6, 1):.1f}" height="{height}" fill="{fill}"'
                f"{frame}><title>{escape(hint)}</title></rect>"
            )
            if column == "moved" and not as_meant:
                rows.append(svg_text(left + cell / 2, top + 15, "×", "middle", ' font-size="13"'))
    meant, moved = (table["meant"] == "learn").sum(), (table["weights_moved"] | table["statistics_moved"]).sum()
    wrong = int((~table["verdict"].str.endswith("as meant")).sum())
    words = f"{meant} of {len(table)} layers were meant to learn, {moved} moved, {wrong} not as meant."
    bottom = 16 + 2 * (height + 18)
    return (
        f'<svg role="img" aria-label="{words}" viewBox="0 0 {width} {bottom}" width="100%" '
        f'style="max-width:{width + 60}px">'
        f"<title>{words}</title>{''.join(rows)}</svg>"
        f'<div class="tlkit-quiet">input → head; {words} Point at a layer for its name and its largest change.</div>'
    )


def draw_figure(
    figure: Figure,
    title: str,
    runs: Sequence[Run],
    table: Sequence[Sequence[str]],
    baselines: Baselines,
    *,
    epochs: int,
    source: str = "source",
) -> None:
    """The curves, the last runs and the strip of the last one, as matplotlib draws them.

    Args:
        table: The titles of columns, then the cells of a row for each run shown.
        source: What the source's curve is called.
    """
    mosaic: Any = [["curves"], ["runs"], ["strip"]] if runs else [["curves"]]
    grid = figure.subplot_mosaic(mosaic, height_ratios=[6, 0.5 + 0.5 * len(table), 3] if runs else None)
    ax = grid["curves"]
    for number, run in enumerate(runs[:-1], start=1):
        for curve, line, name in (("target", "-", "target"), ("source", ":", source)):
            points = run.history[["epoch", curve]].to_numpy()
            ax.plot(*points.T, line, color="0.6", label=f"{name}, earlier runs" if number == 1 else None)
            look = {"color": "0.35", "fontsize": 8, "va": "center"}
            ax.annotate(f"run {number}", points[-1], (5, 0), textcoords="offset points", **look)
    for name, value, _ in _baseline_lines(baselines):
        ax.axhline(value, color="0.5", linestyle="--", linewidth=0.8)
        ax.annotate(f"{name} {value:.2f}", (1.005, value), xycoords=("axes fraction", "data"), fontsize=8)
    ax.set(xlabel="epoch", ylabel="accuracy", title=literal(title))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if not runs:
        ax.set(xlim=(0, epochs), ylim=(0, 1))
        return
    history = runs[-1].history
    ax.plot(history["epoch"], history["target"], color=TARGET_COLOR, marker="o", label="target")
    ax.plot(history["epoch"], history["source"], color=SOURCE_COLOR, marker="s", linestyle="--", label=source)
    ax.legend(frameon=False, loc="best")
    grid["runs"].axis("off")
    drawn = grid["runs"].table(table[1:], colLabels=table[0], loc="center", edges="horizontal")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(10)
    drawn.auto_set_column_width(list(range(len(table[0]))))
    plot_audit(runs[-1].audit, ax=grid["strip"])
