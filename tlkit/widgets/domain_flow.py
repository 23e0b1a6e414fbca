"""DomainFlow: do the features of source and target flow together while a network trains?"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

import ipywidgets
import numpy as np
import traitlets
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from tlkit.domains import Array, check_count
from tlkit.features import feature_pair
from tlkit.plots import SOURCE_COLOR, TARGET_COLOR
from tlkit.selection import told_apart
from tlkit.widgets.page import Page
from tlkit.widgets.still import Still
from tlkit.widgets.theme import escape, literal, spread_over, style_sheet, svg_text
from tlkit.words import nearest_name, one_line, shortened, some_of

__all__ = ["DomainFlow"]

_WIDTH, _HEIGHT, _TOP = 640, 400, 28  # of the points, and of the line above them, in pixels
# A mark comes from where it was at the moment before, for readers who do not mind motion.
_RULES = """
.tlkit-flow .source { fill: var(--tlkit-source); fill-opacity: 0.75; }
.tlkit-flow .target { fill: none; stroke: var(--tlkit-target); stroke-width: 1.8; }
@keyframes tlkit-flows { from { transform: translate(var(--x), var(--y)); } }
@media (prefers-reduced-motion: no-preference) { .tlkit-flow .moved { animation: tlkit-flows 0.7s ease-in-out; } }
"""
_Moments = Mapping[str, Mapping[int, tuple[Array, Array]]]


class DomainFlow(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """Features of source and target at several moments of a training; a slider leads from one moment to the next.

    Domain-adversarial training (DANN; Ganin et al., 2016) is to find features by which nobody can tell source and
    target apart. Each training is drawn in two directions, which stay: those in which the features of all its moments
    together spread most (PCA). Two directions show little of many, so a line of text says how well a classifier tells
    the domains apart at the moment that is shown (:func:`tlkit.selection.told_apart`).

    Args:
        moments: Of each training, by its name, ``{epoch: (source, target)}``: the features ``(n, d)`` and ``(m, d)``
            when so many epochs were done, 0 or more. All moments have the same shapes, and a row is one example
            throughout. All trainings have the same epochs.
        directions: In how many directions, those of the largest spread at a moment, the domains are told apart;
            ``None``: in all.

    Raises:
        ValueError: There is no moment, epochs or shapes differ, features are not finite, a domain has fewer than 2
            examples, or ``directions`` is below 1.
    """

    training = traitlets.Unicode(help="The name of the training that is shown.")
    epoch = traitlets.Int(help="The moment that is shown: how many epochs were done.")

    def __init__(self, moments: _Moments, *, directions: int | None = 10) -> None:
        self._moments, self.directions = _checked(moments), directions
        #: The names of the trainings, and the epochs of each.
        self.trainings, self.epochs = list(self._moments), sorted(next(iter(self._moments.values())))
        self._lock = threading.RLock()
        self._flat, self._share = cache(self._flat_of), cache(self._share_at)
        self._before: tuple[str, int] | None = None  # what was drawn last
        self._still = Still(self._draw, self._size, self._said)
        self._slider = ipywidgets.SelectionSlider(options=self.epochs, description="epoch")
        self._choice = ipywidgets.Dropdown(options=self.trainings, description="training")
        if len(self.trainings) == 1:
            self._choice.layout.display = "none"
        play = ipywidgets.Play(max=len(self.epochs) - 1, interval=1000, show_repeat=False)
        ipywidgets.jslink((play, "value"), (self._slider, "index"))
        self._points, self._words = ipywidgets.HTML(), ipywidgets.HTML()
        self._points.add_class("tlkit-flow").add_class("tlkit-framed")
        controls = [self._choice, ipywidgets.HBox([self._slider, play])]
        super().__init__([style_sheet(_RULES), Page(), *controls, self._points, self._words])
        self.add_class("tlkit").add_class("tlkit-domain-flow")
        self.training, self.epoch = self.trainings[0], self.epochs[0]
        traitlets.link((self, "training"), (self._choice, "value"))
        traitlets.link((self, "epoch"), (self._slider, "value"))
        self.observe(self._refresh, names=["training", "epoch"])
        self._refresh()

    @traitlets.validate("training")
    def _check_training(self, proposal: Any) -> str:
        if proposal["value"] not in self.trainings:
            raise ValueError(f"training must be {nearest_name(proposal['value'], self.trainings)}")
        return str(proposal["value"])

    @traitlets.validate("epoch")
    def _check_epoch(self, proposal: Any) -> int:
        if proposal["value"] not in self.epochs:
            raise ValueError(f"epoch must be one of {_listed(self.epochs)}, got {proposal['value']}.")
        return int(proposal["value"])

    # What a learner calls

    def places(self, training: str | None = None, epoch: int | None = None) -> tuple[Array, Array]:
        """Source ``(n, 2)`` and target ``(m, 2)`` in the training's two directions; by default what is shown."""
        name, at = self._moment(training, epoch)
        flat = self._flat(name)[0][self.epochs.index(at)]
        n = len(self._moments[name][at][0])
        return flat[:n].copy(), flat[n:].copy()

    def told_apart(self, training: str | None = None, epoch: int | None = None) -> float:
        """The share that a classifier gives to the right domain, 0..1; by default of what is shown."""
        return self._share(*self._moment(training, epoch))

    @property
    def sentence(self) -> str:
        """What the drawing shows, in words."""
        d = self._moments[self.training][self.epoch][0].shape[1]
        few = self.directions is not None and self.directions < d
        looks = f"the {self.directions} directions of largest spread" if few else "all directions"
        return (
            f"{self.training}, epoch {self.epoch}: a classifier that looks at {looks} names the right domain for "
            f"{self.told_apart():.0%} of the examples; a guess does so for 50%. The drawing shows two directions; they "
            f"hold {self._flat(self.training)[1]:.0%} of the spread of all epochs."
        )

    # What is computed once

    def _moment(self, training: str | None, epoch: int | None) -> tuple[str, int]:
        name = self.training if training is None else self._check_training({"value": training})
        return name, self.epoch if epoch is None else self._check_epoch({"value": epoch})

    def _flat_of(self, training: str) -> tuple[Array, float]:
        """The examples of all moments in two directions, ``(moments, n + m, 2)``, and their share of the spread."""
        moments = np.stack([np.concatenate(self._moments[training][epoch]) for epoch in self.epochs])
        flat = np.zeros((*moments.shape[:2], 2))
        rows = moments.reshape(-1, moments.shape[2])
        with self._lock, threadpool_limits(1), np.errstate(invalid="ignore"):  # examples may all be alike
            found = PCA(min(2, rows.shape[1]), random_state=0)
            flat[..., : found.n_components] = found.fit_transform(rows).reshape(*flat.shape[:2], -1)
        return flat, float(np.nan_to_num(found.explained_variance_ratio_).sum())

    def _share_at(self, training: str, epoch: int) -> float:
        with self._lock:
            return told_apart(*self._moments[training][epoch], directions=self.directions)

    # What is shown

    def _refresh(self, _: Any = None) -> None:
        with self._lock:
            self._points.value = self._svg()
            self._words.value = f"<p>{escape(self.sentence)}</p>"

    def _svg(self) -> str:
        flat = self._flat(self.training)[0] * [1, -1]  # upwards, as in a plot
        drawn = spread_over(flat.reshape(-1, 2), _WIDTH, _HEIGHT, 8).reshape(flat.shape)
        drawn[..., 1] += _TOP
        now = self.epochs.index(self.epoch)
        before = now if self._before is None or self._before[0] != self.training else self._before[1]
        self._before = self.training, now
        n, marks = len(self._moments[self.training][self.epoch][0]), []
        for k, ((x, y), (dx, dy)) in enumerate(zip(drawn[now], drawn[before] - drawn[now], strict=True)):
            moved = f'class="moved" style="--x:{dx:.1f}px;--y:{dy:.1f}px"' if before != now else ""
            marks.append(_mark(k < n, x, y, moved))
        key = [svg_text(30, 19, "source"), _mark(True, 16, 14), svg_text(110, 19, "target"), _mark(False, 96, 14)]
        return (
            f'<svg role="img" aria-label="{escape(self.sentence)}" viewBox="0 0 {_WIDTH} {_HEIGHT + _TOP}">'
            f"{''.join(key)}{''.join(marks)}</svg>"
        )

    def _few(self) -> list[int]:
        """Up to four epochs, from the first to the last."""
        return [self.epochs[k] for k in sorted({*np.linspace(0, len(self.epochs) - 1, 4).round().astype(int).tolist()})]

    def _size(self) -> tuple[float, float]:
        return max(2.5 * len(self._few()), 5.0), 2.1 * len(self.trainings) + 0.3

    def _said(self) -> str:
        shares = (
            f"{name}: " + ", ".join(f"{self.told_apart(name, epoch):.0%} at epoch {epoch}" for epoch in self._few())
            for name in self.trainings
        )
        return f"DomainFlow: source and target are told apart in so many cases. {'; '.join(shares)}."

    def _draw(self, figure: Figure) -> None:
        epochs = self._few()
        for row, axes in zip(
            self.trainings, figure.subplots(len(self.trainings), len(epochs), squeeze=False), strict=True
        ):
            everything = self._flat(row)[0].reshape(-1, 2)
            for ax, epoch in zip(axes, epochs, strict=True):
                ax.plot(*everything.T, linestyle="none")  # so that all moments have the same limits
                looks = (("source", "o", SOURCE_COLOR), ("target", "x", TARGET_COLOR))
                for places, (label, marker, color) in zip(self.places(row, epoch), looks, strict=True):
                    ax.plot(*places.T, marker, color=color, label=label, markersize=3, alpha=0.8)
                ax.set(xticks=[], yticks=[], title=f"epoch {epoch}: {self.told_apart(row, epoch):.0%} told apart")
            axes[0].set_ylabel(literal(shortened(row, 24)))
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return self._still.beside(super()._repr_mimebundle_(include=include, exclude=exclude))


def _mark(is_source: bool, x: float, y: float, more: str = "") -> str:
    if is_source:
        return f'<g class="source"><circle {more} cx="{x:.1f}" cy="{y:.1f}" r="4"/></g>'
    return f'<g class="target"><path {more} d="M{x - 4:.1f} {y - 4:.1f}l8 8m0-8l-8 8"/></g>'


def _listed(epochs: list[int]) -> str:
    return some_of([str(epoch) for epoch in epochs], 10)


def _checked(moments: _Moments) -> dict[str, dict[int, tuple[Array, Array]]]:
    """The moments as plain dictionaries of arrays, or an error that says what is wrong with them."""
    found: dict[str, dict[int, tuple[Array, Array]]] = {}
    shapes: dict[str, None] = {}
    for name, each in moments.items() if isinstance(moments, Mapping) else ():
        found[name] = {}
        for epoch, pair in each.items() if isinstance(each, Mapping) else ():
            check_count("epoch", epoch, least=0)
            try:
                source, target = pair
                feature_pair(source, target)
            except (TypeError, ValueError) as error:
                raise ValueError(one_line(f"{name}, epoch {epoch}: {error}")) from None
            found[name][int(epoch)] = np.asarray(source), np.asarray(target)
            shapes[f"{np.shape(source)} and {np.shape(target)}"] = None
    if not shapes:
        given = one_line(repr(moments), 80)
        raise ValueError(f"moments must be {{training: {{epoch: (source, target)}}}} with one or more, got {given}.")
    if len(shapes) > 1:
        raise ValueError(f"source and target must have the same shapes at all moments, got {some_of(list(shapes), 2)}.")
    epochs = {_listed(sorted(each)) or "none": None for each in found.values()}
    if len(epochs) > 1:
        raise ValueError(f"all trainings must have the same epochs, got {'; '.join(epochs)}.")
    return found
