"""GradientExplorer: two or three logits, what cross-entropy says about them, and the step that it asks for."""

from __future__ import annotations

import operator
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets
import numpy as np
import traitlets
from matplotlib.figure import Figure
from scipy.special import log_softmax, softmax

from tlkit.domains import Array
from tlkit.plots import SOURCE_COLOR, TARGET_COLOR
from tlkit.widgets.page import Page
from tlkit.widgets.still import Still
from tlkit.widgets.theme import escape, literal, style_sheet, svg_text
from tlkit.words import one_line, shortened

__all__ = ["GradientExplorer"]

LARGEST_LOGIT = 1e6
TEMPERATURES = (0.1, 10.0)
LEARNING_RATES = (0.01, 10.0)

_START = (2.0, 1.0, -1.0)
_SLIDER_STEP = 0.1
_SLIDER_REACH = 10.0  # logits at the ends of a slider, which grows when a logit is set beyond them
_GO_COLOR = "#0f766e"  # the step, in the picture that is left; the style sheet has it as --tlkit-go

_RULES = """
.tlkit-explorer-controls > * { flex: 1 1 290px; max-width: 400px; }
.tlkit-explorer-view, .tlkit-explorer-view .widget-html-content { max-width: 100%; }
.tlkit-explorer-drawings { display: flex; flex-wrap: wrap; gap: 0 24px; }
.tlkit-explorer-drawings svg { flex: 1 1 340px; min-width: 0; max-width: 460px; height: auto; }
.tlkit-explorer-view p { margin: 4px 0; }
.tlkit-explorer-view th, .tlkit-explorer-view td { padding: 3px 7px; }
"""

# The two drawings, in their own units: both have the names on the left, and their axis from there on.
_WIDTH, _TOP, _ROW = 370, 62, 66
_NAME_END, _BAR, _AXIS = 78, (90, 300), (94, 352)


@dataclass(frozen=True)
class _Step:
    """One point and the step of gradient descent from it; arrays of a number for each class."""

    z: Array
    y: Array
    p: Array
    gradient: Array
    loss: float
    z_after: Array
    p_after: Array
    loss_after: float


def _cross_entropy(z: Array, target: int, temperature: float) -> float:
    return float(-log_softmax(z / temperature)[target]) + 0.0  # a certain answer would print as -0


def _step(logits: Sequence[float], target: int, temperature: float, learning_rate: float) -> _Step:
    z = np.array(logits, dtype=np.float64)
    y = np.eye(len(z))[target]
    p = softmax(z / temperature)
    gradient = (p - y) / temperature
    z_after = z - learning_rate * gradient
    return _Step(
        z,
        y,
        p,
        gradient,
        _cross_entropy(z, target, temperature),
        z_after,
        softmax(z_after / temperature),
        _cross_entropy(z_after, target, temperature),
    )


class GradientExplorer(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    r"""Move logits and see probabilities, loss, gradient, and the step that gradient descent would take.

    The loss is the cross-entropy of the true class under $\hat y = \mathrm{softmax}(z / T)$, and its gradient to the
    logits is $(\hat y - y) / T$. Everything is computed from the four settings, which can be set without clicks::

        explorer = GradientExplorer(classes=("cat", "dog"))
        explorer.logits = (3, -1)
        explorer.target = 1
        explorer.take_step()
        explorer.loss

    Args:
        n_classes: 2 or 3; ``None`` is as many as ``classes`` names, or 3.
        classes: A name for each class; ``None`` is A, B, C.

    Attributes:
        logits: A number for each class, in -1e6..1e6.
        target: The true class, 0..n_classes-1.
        temperature: What logits are divided by, 0.1..10.
        learning_rate: The step size, 0.01..10.
        probabilities: ŷ of each class; read-only.
        loss: In nats; read-only.
        gradient: Of the loss, to each logit; read-only.
        next_logits: After one step of gradient descent; read-only.
        next_loss: After that step, in nats; read-only.

    Raises:
        ValueError: A setting is out of range, or ``classes`` does not name each class once.
    """

    logits = traitlets.Any()
    target = traitlets.Any()
    temperature = traitlets.Float(1.0)
    learning_rate = traitlets.Float(1.0)
    probabilities = traitlets.Tuple(read_only=True)
    loss = traitlets.Float(read_only=True)
    gradient = traitlets.Tuple(read_only=True)
    next_logits = traitlets.Tuple(read_only=True)
    next_loss = traitlets.Float(read_only=True)

    def __init__(self, n_classes: int | None = None, *, classes: Sequence[str] | None = None) -> None:
        if n_classes is None:
            n_classes = 3 if classes is None else len(classes)
        if isinstance(n_classes, bool) or n_classes not in (2, 3):
            raise ValueError(f"n_classes must be 2 or 3, got {n_classes!r}.")
        self.classes = tuple("ABC"[:n_classes]) if classes is None else tuple(str(name) for name in classes)
        if len(self.classes) != n_classes or len(set(self.classes)) != n_classes:
            raise ValueError(f"classes must be {n_classes} different names, got {self.classes}.")
        self._lock = threading.RLock()  # callbacks may come from any thread
        self._start = (_START[:n_classes], 1, 1.0, 1.0)
        self._build()
        self._still = Still(self._draw, lambda: (8.0, 1.2 + 0.7 * n_classes), self._words)
        super().__init__([style_sheet(_RULES), Page(), self._heading, self._controls, self._view])
        self.add_class("tlkit")
        self.add_class("tlkit-gradient-explorer")
        self.logits, self.target = self._start[:2]
        self.observe(self._refresh, names=["logits", "target", "temperature", "learning_rate"])
        self._refresh()

    # What a learner or a grader calls

    def take_step(self) -> None:
        """Replace the logits by those after one step of gradient descent."""
        self.logits = self.next_logits

    def reset(self) -> None:
        """Back to the settings at the start."""
        with self._lock:
            self.logits, self.target, self.temperature, self.learning_rate = self._start

    # Settings

    @traitlets.validate("logits")
    def _valid_logits(self, proposal: Any) -> tuple[float, ...]:
        given = proposal["value"]
        try:
            z = np.array(given, dtype=np.float64)
        except (TypeError, ValueError):
            z = np.array(np.nan)
        if z.shape != (len(self.classes),) or not (np.abs(z) <= LARGEST_LOGIT).all():
            raise ValueError(
                f"logits must be {len(self.classes)} numbers in -1e6..1e6, got {one_line(repr(given), 80)}."
            )
        return tuple(z.tolist())

    @traitlets.validate("target")
    def _valid_target(self, proposal: Any) -> int:
        given = proposal["value"]
        try:
            index = -1 if isinstance(given, bool) else operator.index(given)
        except TypeError:
            index = -1
        if not 0 <= index < len(self.classes):
            raise ValueError(f"target must be in 0..{len(self.classes) - 1}, got {one_line(repr(given), 80)}.")
        return index

    @traitlets.validate("temperature", "learning_rate")
    def _valid_number(self, proposal: Any) -> float:
        name, value = proposal["trait"].name, float(proposal["value"])
        low, high = TEMPERATURES if name == "temperature" else LEARNING_RATES
        if not low * (1 - 1e-9) <= value <= high * (1 + 1e-9):  # the end of a slider is a power, rounded
            raise ValueError(f"{name} must be in {low:g}..{high:g}, got {value:g}.")
        return value

    # Controls

    def _build(self) -> None:
        # In a column a control is as wide as there is room for it and its margins.
        look = {"style": {"description_width": "124px"}, "layout": ipywidgets.Layout(width="auto")}
        self._sliders = [
            ipywidgets.FloatSlider(
                min=-_SLIDER_REACH,
                max=_SLIDER_REACH,
                step=_SLIDER_STEP,
                description=f"logit of {shortened(name, 9)}",
                tooltip=f"The logit of class {name}: any real number; only differences between logits count.",
                **look,
            ).add_class(f"tlkit-logit-{i}")
            for i, name in enumerate(self.classes)
        ]
        self._target = ipywidgets.Dropdown(
            options=[(name, i) for i, name in enumerate(self.classes)],
            description="true class",
            tooltip="The class whose label y is 1 (Space opens the list).",
            **look,
        ).add_class("tlkit-true-class")

        def by_powers(ends: tuple[float, float], text: str, tooltip: str) -> Any:
            low, high = np.log10(ends).tolist()
            return ipywidgets.FloatLogSlider(
                value=1.0, min=low, max=high, step=0.05, description=text, tooltip=tooltip, readout_format=".2f", **look
            )

        self._temperature = by_powers(
            TEMPERATURES, "temperature T", "Logits are divided by it: above 1, less certain."
        ).add_class("tlkit-temperature")
        self._learning_rate = by_powers(
            LEARNING_RATES, "step size α", "The learning rate: how far a step goes along the gradient."
        ).add_class("tlkit-step-size")
        take = ipywidgets.Button(
            description="Take the step", tooltip="Replace the logits by those after the step.", button_style="primary"
        ).add_class("tlkit-take-step")
        reset = ipywidgets.Button(description="Reset", tooltip="Back to the start.").add_class("tlkit-reset")
        take.on_click(lambda _: self.take_step())
        reset.on_click(lambda _: self.reset())
        for slider in self._sliders:
            slider.observe(self._logit_moved, names="value")
        for name in ("target", "temperature", "learning_rate"):
            control = getattr(self, f"_{name}")
            control.observe(lambda change, name=name: self.set_trait(name, change["new"]), names="value")

        self._heading = ipywidgets.HTML("<h4>GradientExplorer: the gradient of the cross-entropy</h4>")
        self._view = ipywidgets.HTML().add_class("tlkit-explorer-view")
        right = [self._target, self._temperature, self._learning_rate, ipywidgets.HBox([take, reset])]
        self._controls = ipywidgets.Box(
            [ipywidgets.VBox([*self._sliders]), ipywidgets.VBox(right)],
            layout=ipywidgets.Layout(display="flex", flex_flow="row wrap", align_items="flex-start"),
        ).add_class("tlkit-explorer-controls")

    def _logit_moved(self, change: Any) -> None:
        with self._lock:
            z, k = list(self.logits), self._sliders.index(change["owner"])
            # The page can show steps of a slider only, and sends back what it rounded: that is no one's move.
            if abs(change["new"] - z[k]) <= 0.5001 * _SLIDER_STEP:
                return
            z[k] = change["new"]
            self.logits = tuple(z)

    def _refresh(self, _: Any = None) -> None:
        with self._lock:
            step = self._now()
            for slider, value in zip(self._sliders, self.logits, strict=True):
                reach = max(_SLIDER_REACH, abs(value))
                if reach > slider.max:
                    slider.max, slider.min = reach, -reach
                slider.value = value
            self._target.value = self.target
            self._temperature.value = self.temperature
            self._learning_rate.value = self.learning_rate
            self.set_trait("probabilities", tuple(step.p.tolist()))
            self.set_trait("gradient", tuple(step.gradient.tolist()))
            self.set_trait("loss", step.loss)
            self.set_trait("next_logits", tuple(step.z_after.tolist()))
            self.set_trait("next_loss", step.loss_after)
            self._view.value = self._drawings(step) + self._sentence(step) + self._table(step)
            self._still.renew()

    def _now(self) -> _Step:
        return _step(self.logits, self.target, self.temperature, self.learning_rate)

    # What is shown

    @property
    def _gradient_name(self) -> str:
        return "ŷ − y" if self.temperature == 1 else "(ŷ − y)/T"

    def _sentence(self, step: _Step) -> str:
        name, k = escape(self.classes[self.target]), self.target
        promised = self.learning_rate * float(step.gradient @ step.gradient)
        return (
            f"<p><b>Loss {_number(step.loss)} nats</b>: the true class {name} has the probability "
            f"{_number(step.p[k])}, and −ln of that is the loss. A step of size {_number(self.learning_rate)} brings "
            f"<b>{_number(step.loss_after)} nats</b>: {_number(step.loss - step.loss_after)} less "
            f"(the slope alone promises {_number(promised)} less).</p>"
        )

    def _table(self, step: _Step) -> str:
        head = ("class", "z", "ŷ", "y", self._gradient_name, "z after", "ŷ after")
        rows = "".join(
            f'<tr><th scope="row" title="{escape(name)}">{escape(shortened(name, 14))}</th>'
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "</tr>"
            for name, *cells in zip(
                self.classes,
                map(_number, step.z),
                map(_number, step.p),
                (f"{v:.0f}" for v in step.y),
                map(_signed, step.gradient),
                map(_number, step.z_after),
                map(_number, step.p_after),
                strict=True,
            )
        )
        titles = "".join(f'<th scope="col">{title}</th>' for title in head)
        return f"<table><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table>"

    def _drawings(self, step: _Step) -> str:
        return f'<div class="tlkit-explorer-drawings">{self._draw_probabilities(step)}{self._draw_logits(step)}</div>'

    def _svg(self, title: str, parts: list[str], ticks: list[tuple[float, float]]) -> str:
        bottom = _TOP + _ROW * len(self.classes)
        grid = []
        for x, value in ticks:
            grid += [
                f'<path d="M{x:.1f} {_TOP - 8}V{bottom}" style="stroke:var(--tlkit-line)"/>',
                svg_text(x, bottom + 16, f"{value:g}".replace("-", "−"), "middle", more=f' style="fill:{_QUIET}"'),
            ]
        for k, name in enumerate(self.classes):
            true = k == self.target
            text = shortened(name, 9 - 2 * true) + " ✓" * true
            label = svg_text(_NAME_END, _middle(k) + 5, text, "end", more=' style="font-weight:bold"' * true)
            grid.append(f"<g><title>{escape(name)}</title>{label}</g>")
        heading = svg_text(_BAR[0], 16, title, more=' style="font-weight:bold"')
        return (
            f'<svg role="img" aria-label="{title}: see the table below" viewBox="0 0 {_WIDTH} {bottom + 22}" '
            f'font-size="13">{heading}{"".join(grid + parts)}</svg>'
        )

    def _draw_probabilities(self, step: _Step) -> str:
        def on_bar(p: float) -> float:
            return _BAR[0] + p * (_BAR[1] - _BAR[0])

        parts = [
            _key(_BAR[0], f'<rect x="0" y="-5" width="18" height="10" style="fill:{_BLUE}"/>', "ŷ"),
            _key(_BAR[0] + 56, _diamond(9, 0), "y"),
            _key(_BAR[0] + 106, _arrow(0, 18, 0, _ORANGE), "ŷ − y"),
        ]
        for k, (p, label) in enumerate(zip(step.p.tolist(), step.y.tolist(), strict=True)):
            y = _middle(k)
            parts += [
                f'<rect x="{_BAR[0]}" y="{y - 9}" width="{on_bar(p) - _BAR[0]:.1f}" height="18" style="fill:{_BLUE}"/>',
                _diamond(on_bar(label), y),
                _arrow(on_bar(label), on_bar(p), y + 19, _ORANGE),
                svg_text(_BAR[1] + 14, y + 5, f"{p:.3f}", more=f' style="fill:{_BLUE}"'),
                svg_text(_BAR[1] + 14, y + 24, _signed(p - label), more=f' style="fill:{_ORANGE}"'),
            ]
        return self._svg("Probability ŷ and label y", parts, [(on_bar(p), p) for p in (0, 0.5, 1)])

    def _draw_logits(self, step: _Step) -> str:
        reach = _reach(step)

        def on_axis(z: float) -> float:
            return _AXIS[0] + (z + reach) / (2 * reach) * (_AXIS[1] - _AXIS[0])

        parts = [
            _key(_BAR[0], _arrow(0, 18, 0, _ORANGE), self._gradient_name),
            _key(_BAR[0] + 112, _arrow(0, 18, 0, _GREEN, dashed=True), f"step −α {_bracketed(self._gradient_name)}"),
        ]
        for k, (logit, slope, after) in enumerate(
            zip(step.z.tolist(), step.gradient.tolist(), step.z_after.tolist(), strict=True)
        ):
            y, z, tip, end = _middle(k), on_axis(logit), on_axis(logit + slope), on_axis(after)
            # The number stands behind the arrow, or beyond its tip where there is no room behind.
            x, anchor = (z - 10, "end") if slope > 0 else (z + 10, "start")
            if not _AXIS[0] + 50 < x < _AXIS[1] - 50:
                x, anchor = (tip + 8, "start") if slope > 0 else (tip - 8, "end")
            parts += [
                _arrow(z, tip, y - 6, _ORANGE),
                svg_text(x, y - 2, _signed(slope), anchor, more=f' style="fill:{_ORANGE}"'),
                _arrow(z, end, y + 16, _GREEN, dashed=True),
                f'<path d="M{z:.1f} {y - 6}V{y + 16}" style="stroke:{_BLUE};stroke-width:2"/>',
                f'<circle cx="{z:.1f}" cy="{y + 5}" r="5.5" style="fill:{_BLUE}"/>',
                f'<circle cx="{end:.1f}" cy="{y + 16}" r="4" style="fill:{_PAPER};stroke:{_GREEN};stroke-width:2"/>',
            ]
        ticks = [(on_axis(z), z) for z in (-reach, -reach / 2, 0, reach / 2, reach)]
        return self._svg("Logit z, its gradient and its step", parts, ticks)

    def _words(self) -> str:
        logits = ", ".join(map(_number, self.logits))
        return (
            f"GradientExplorer: logits ({logits}), true class {self.classes[self.target]}, temperature "
            f"{_number(self.temperature)}, step size {_number(self.learning_rate)}: loss {_number(self.loss)} nats, "
            f"{_number(self.next_loss)} after the step"
        )

    def _draw(self, figure: Figure) -> None:
        step, rows = self._now(), np.arange(len(self.classes))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[4, 5])
        left.barh(rows, step.p, height=0.4, color=SOURCE_COLOR, label="ŷ")
        left.plot(step.y, rows, "D", color="0.2", markersize=8, label="y")
        reach = _reach(step)
        for k in rows:
            for ax, start, end, color, offset in (
                (left, step.y[k], step.p[k], TARGET_COLOR, 0.33),
                (right, step.z[k], step.z[k] + step.gradient[k], TARGET_COLOR, -0.15),
                (right, step.z[k], step.z_after[k], _GO_COLOR, 0.15),
            ):
                arrow = {"arrowstyle": "->", "color": color, "lw": 2, "shrinkA": 0, "shrinkB": 0}
                ax.annotate("", (end, k + offset), (start, k + offset), arrowprops=arrow)
            right.text(step.z[k], k - 0.25, _signed(float(step.gradient[k])), color=TARGET_COLOR, ha="center")
        right.plot(step.z, rows, "o", color=SOURCE_COLOR, label="logit z")
        right.plot(step.z_after, rows + 0.15, "o", markerfacecolor="white", color=_GO_COLOR, label="after the step")
        left.set_yticks(rows, [literal(shortened(name, 16)) for name in self.classes])
        left.set(xlim=(-0.03, 1.03), ylim=(len(rows) - 0.4, -0.6), xlabel="probability; arrow: ŷ − y")
        right.set(xlim=(-reach, reach), xlabel=f"logit; orange arrow: {self._gradient_name}")
        for ax in (left, right):
            ax.spines[["top", "right"]].set_visible(False)
            ax.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        with self._lock:
            return self._still.beside(super()._repr_mimebundle_(include=include, exclude=exclude))


_BLUE, _ORANGE, _GREEN = "var(--tlkit-source)", "var(--tlkit-target)", "var(--tlkit-go)"
_QUIET, _PAPER = "var(--tlkit-quiet)", "var(--tlkit-paper)"


def _number(value: float) -> str:
    """Three decimals, or three digits where that would hide a small number or go on for long."""
    size = abs(value)
    text = f"{value:.3f}".rstrip("0").rstrip(".") if 5e-4 <= size < 1e4 or size == 0 else f"{value:.2e}"
    return text.replace("-", "−")


def _signed(value: float) -> str:
    if abs(value) < 5e-4:
        return "0" if value == 0 else f"{value:+.0e}".replace("-", "−")
    return f"{value:+.3f}".replace("-", "−")


def _reach(step: _Step) -> float:
    """Where the axis of the logits ends: 5, 10, 20, 50 …, so that it stands still while a slider moves a little."""
    ends = np.concatenate([step.z, step.z_after, step.z + step.gradient])
    wanted = 1.02 * float(np.abs(ends).max())
    return next(digit * 10.0**n for n in range(8) for digit in (5, 10, 20) if digit * 10.0**n >= wanted)


# Pieces of the drawing


def _middle(k: int) -> int:
    return _TOP + k * _ROW + 22


def _bracketed(text: str) -> str:
    return text if text.startswith("(") else f"({text})"


def _key(x: float, drawing: str, text: str) -> str:
    return f'<g transform="translate({x},34)">{drawing}{svg_text(24, 5, text)}</g>'


def _diamond(x: float, y: float) -> str:
    return f'<path d="M{x:.1f} {y - 9}l7 9l-7 9l-7 -9z" style="fill:{_PAPER};stroke:var(--tlkit-text);stroke-width:2"/>'


def _arrow(start: float, end: float, y: float, color: str, *, dashed: bool = False) -> str:
    """A level arrow; its head is drawn here, since markers are found by an id that two widgets would share."""
    length = abs(end - start)
    if length < 0.5:
        return ""
    head = min(7.0, length) * (1 if end > start else -1)
    dash = ";stroke-dasharray:4 3" if dashed else ""
    return (
        f'<path d="M{start:.1f} {y}H{end - head:.1f}" style="stroke:{color};stroke-width:2.5{dash}"/>'
        f'<path d="M{end:.1f} {y}l{-head:.1f} -5v10z" style="fill:{color}"/>'
    )
