"""Predict: a question, the learner's guess before the experiment runs, and the result beside it.

A guess of a number is a range that shall hold the result in eight of ten cases. Whether it does is what calibration
means for people, as in notebook 07 for networks. Lichtenstein, Fischhoff & Phillips (1982) found that people's ranges
are far too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import binom

from tlkit.plots import SOURCE_COLOR
from tlkit.widgets.page import Page
from tlkit.widgets.still import Still
from tlkit.widgets.theme import escape, literal, style_sheet
from tlkit.words import counted, nearest_name, one_line

__all__ = ["Predict"]

SURE = 0.8  # how sure a range shall be
_STEPS = 200  # of a slider
_UNLIKELY = 0.05

# The predictions of this process by their questions, in order: a cell that is run again finds its guess.
_asked: dict[str, Predict] = {}


@dataclass(frozen=True)
class Words:
    """A sentence that a cell shows, and, for a notebook, as HTML."""

    text: str
    html: str = ""

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html or f"<p>{escape(self.text)}</p>"


class Predict(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """Ask for a guess, and compare it later.

    ``guess`` records what the controls show, or its arguments; it can be done once, before the result is known.
    :meth:`compare` shows the result beside it, and :meth:`report` all guesses of a notebook.

    Args:
        question: One line.
        between: The lowest and the highest number that make sense. The guess is a range within them.
        choices: Answers to choose from, two or more, in place of a number.

    Raises:
        ValueError: Not exactly one of ``between`` and ``choices`` is given, or it is no range, or holds fewer than two.
    """

    def __init__(
        self, question: str, *, between: tuple[float, float] | None = None, choices: Sequence[str] | None = None
    ) -> None:
        if (between is None) == (choices is None):
            raise ValueError("either between=(lowest, highest) or choices=[...] must be given, got both or neither.")
        if between is not None and not (len(between) == 2 and -math.inf < between[0] < between[1] < math.inf):
            raise ValueError(f"between must be two finite numbers, the lower one first, got {between!r}.")
        if choices is not None and len(set(choices)) < max(2, len(choices)):
            raise ValueError(f"choices must be two or more answers, each once, got {list(choices)!r}.")
        self.question = one_line(question)
        self.between = None if between is None else (float(between[0]), float(between[1]))
        self.choices = None if choices is None else tuple(map(str, choices))
        earlier = _asked.get(self.question)
        same = earlier is not None and (earlier.between, earlier.choices) == (self.between, self.choices)
        #: What was guessed: ``(low, high)``, a choice, or ``None`` before that.
        self.guessed: tuple[float, float] | str | None = earlier.guessed if earlier is not None and same else None
        #: What came out, after :meth:`compare`.
        self.result: float | str | None = earlier.result if earlier is not None and same else None
        _asked[self.question] = self
        self._still = Still(self._draw, lambda: (8.0, 0.9), lambda: f"Predict: {self.question} {self._allowed()}")
        self._button = ipywidgets.Button(description="This is my guess", tooltip="It can be recorded once.")
        self._button.on_click(lambda _: self.guess())
        self._said = ipywidgets.HTML()
        self._control = self._build()
        row = ipywidgets.HBox([self._control, self._button], layout=ipywidgets.Layout(flex_flow="row wrap"))
        super().__init__([style_sheet(), Page(), ipywidgets.HTML(f"<b>{escape(self.question)}</b>"), row, self._said])
        self.add_class("tlkit").add_class("tlkit-predict")
        self._show()

    def _build(self) -> Any:
        if self.between is None:
            return ipywidgets.RadioButtons(options=self.choices, value=None, layout=ipywidgets.Layout(width="auto"))
        low, high = self.between
        width = high - low
        return ipywidgets.FloatRangeSlider(
            value=(low + width / 4, high - width / 4),
            min=low,
            max=high,
            step=width / _STEPS,
            description="between",
            readout_format=f".{max(0, 2 - math.floor(math.log10(width)))}f",
            layout=ipywidgets.Layout(width="440px"),
        )

    # What a learner does

    def guess(self, *answer: float | str) -> None:
        """Record a guess: two numbers, a choice, or, without arguments, what the controls show.

        Raises:
            ValueError: The guess lies outside, there was one already, or the result is known.
        """
        if self.guessed is not None:
            raise ValueError(f"a guess must be recorded once, got another after {self._named(self.guessed)}.")
        if self.result is not None:
            raise ValueError(f"a guess must come before the result, which is known: {self._named(self.result)}.")
        shown = self._control.value
        given = answer or (shown if isinstance(shown, tuple) else () if shown is None else (shown,))
        if self.choices is not None:
            if not answer and not given:
                self._said.value = "<p>Choose an answer first.</p>"
                return
            if len(given) != 1 or given[0] not in self.choices:
                raise ValueError(f"a guess must be {nearest_name(given[0] if given else None, self.choices)}")
            self.guessed = str(given[0])
        elif self.between is not None:
            self.guessed = self._range(given, *self.between)
        self._show()

    def _range(self, given: Sequence[Any], lowest: float, highest: float) -> tuple[float, float]:
        try:
            low, high = map(float, given)
            fits = lowest <= low <= high <= highest
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise ValueError(
                f"a guess must be two numbers within {self._allowed()}, the lower one first, got {given!r}."
            )
        return low, high

    def compare(self, result: float | np.integer[Any] | str) -> Words:
        """The result beside the guess, as a sentence.

        Raises:
            ValueError: The result is none of the choices, or no finite number.
        """
        if self.choices is not None and result not in self.choices:
            raise ValueError(f"the result must be {nearest_name(result, self.choices)}")
        if self.choices is None and not math.isfinite(float(result)):
            raise ValueError(f"the result must be a finite number, got {result!r}.")
        if not isinstance(result, str):
            result = int(result) if isinstance(result, (int, np.integer)) else float(result)
        self.result = result
        self._show()
        return Words(f"{self.question} It is {self._named(self.result)}. {self._verdict()}")

    @classmethod
    def report(cls) -> Words:
        """All guesses of this notebook beside their results, and whether the ranges were as sure as was asked for."""
        done = [each for each in _asked.values() if each.guessed is not None and each.result is not None]
        if not done:
            return Words("No guess was recorded in this notebook. A guess that turns out wrong teaches most: try it.")
        ranges = [each.hit for each in done if each.between is not None]
        picked = [each.hit for each in done if each.choices is not None]
        words = [_about_ranges(sum(ranges), len(ranges))] if ranges else []
        if picked:
            words.append(
                f"Of {counted(len(picked), 'choice')} {sum(picked)} {'was' if sum(picked) == 1 else 'were'} right."
            )
        rows = [(each.question, each._named(each.guessed), each._named(each.result), each.hit) for each in done]
        lines = [
            f"{'✓' if hit else '✗'} {question} guessed {guessed}, got {result}"
            for question, guessed, result, hit in rows
        ]
        cells = "".join(
            f'<tr><td style="text-align:left">{escape(question)}</td><td>{escape(guessed)}</td>'
            f"<td>{escape(result)}</td><td>{'✓ yes' if hit else '✗ no'}</td></tr>"
            for question, guessed, result, hit in rows
        )
        head = "<tr><th>question</th><th>guess</th><th>result</th><th>right</th></tr>"
        return Words("\n".join([*lines, *words]), f"<table>{head}{cells}</table><p>{escape(' '.join(words))}</p>")

    @property
    def hit(self) -> bool:
        """Whether the result lies in the range, or is the choice; both must be there."""
        if isinstance(self.guessed, tuple) and isinstance(self.result, (int, float)):
            return self.guessed[0] <= self.result <= self.guessed[1]
        return self.guessed is not None and self.guessed == self.result

    # What is shown

    def _verdict(self) -> str:
        if self.guessed is None:
            return "You recorded no guess."
        if isinstance(self.guessed, str):
            return f"You guessed {self.guessed}: {'right' if self.hit else 'not so'}."
        low, high = self.guessed
        if self.hit:
            return f"Your range, {self._named(self.guessed)}, holds it."
        result: Any = self.result  # a number, as the guess is a range
        miss = low - result if result < low else result - high
        return f"Your range, {self._named(self.guessed)}, misses it by {self._number(miss)}."

    def _named(self, answer: Any) -> str:
        if isinstance(answer, tuple):
            return f"{self._number(answer[0])} to {self._number(answer[1])}"
        return answer if isinstance(answer, str) else self._number(answer)

    def _number(self, value: float) -> str:
        """With three digits of the scale; what was counted as it is."""
        low, high = self.between or (0.0, 1.0)
        digits = 0 if isinstance(value, int) else max(0, 2 - math.floor(math.log10(high - low)))
        return f"{value:,.{digits}f}"

    def _allowed(self) -> str:
        if self.between is not None:
            return f"({self.between[0]:,g} to {self.between[1]:,g})"
        return f"({', '.join(self.choices or ())})"

    def _show(self) -> None:
        self._button.disabled = self._control.disabled = self.guessed is not None or self.result is not None
        if self.result is not None:
            self._said.value = f"<p>It is {escape(self._named(self.result))}. {escape(self._verdict())}</p>"
        elif self.guessed is not None:
            self._said.value = f"<p>Recorded: {escape(self._named(self.guessed))}. Now run the experiment.</p>"
        else:
            asked = f"Choose a range that you are {SURE:.0%} sure of." if self.choices is None else "Choose an answer."
            self._said.value = f'<p class="tlkit-quiet">{asked}</p>'
        self._still.renew()

    def _draw(self, figure: Figure) -> None:
        figure.text(0.01, 0.72, literal(self.question), fontsize=10, weight="bold", va="center")
        if self.guessed is None:
            words = f"Write your guess down: {self._allowed()[1:-1]}."
        else:
            words = f"Guess: {self._named(self.guessed)}."
        if self.result is not None:
            words += f" Result: {self._named(self.result)}."
        figure.text(0.01, 0.25, literal(words), fontsize=10, color=SOURCE_COLOR, va="center")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return self._still.beside(super()._repr_mimebundle_(include=include, exclude=exclude))


def _about_ranges(hits: int, ranges: int) -> str:
    """Whether so few hits, or so many, would be rare with ranges that hold the result with probability ``SURE``."""
    words = f"{hits} of {counted(ranges, 'range')} held the result, and {SURE:.0%} should."
    if binom.cdf(hits, ranges, SURE) < _UNLIKELY:
        return f"{words} With so many misses your ranges are too narrow: you are less sure than you think."
    if binom.sf(hits - 1, ranges, SURE) < _UNLIKELY:
        return f"{words} With so few misses you may choose narrower ranges."
    return f"{words} So few guesses cannot show that your ranges are too narrow or too wide."
