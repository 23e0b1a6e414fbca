"""CaptionSearch: type a few words, and see which pictures fit best."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
import numpy as np
import traitlets
from matplotlib.figure import Figure

from tlkit.domains import Array, check_count
from tlkit.plots import SOURCE_COLOR
from tlkit.widgets.page import Page
from tlkit.widgets.still import Still
from tlkit.widgets.theme import escape, literal, style_sheet
from tlkit.widgets.thumbnails import data_uri, thumbnail
from tlkit.words import one_line, reason, shortened

__all__ = ["CaptionSearch"]

MOST_LETTERS = 200
_SIDE = 64  # pixels of a picture on the page
_RULES = """
.tlkit-search .tlkit-found { display: flex; flex-wrap: wrap; gap: 8px; margin: 6px 0; padding: 0; list-style: none; }
.tlkit-search .tlkit-found li { width: 104px; text-align: center; border: 1px solid var(--tlkit-line);
  border-radius: 7px; padding: 8px 4px; overflow-wrap: anywhere; line-height: 1.3; margin: 0; }
.tlkit-search .tlkit-found img { background: #ffffff; border-radius: 4px; width: 64px; height: 64px; margin: auto; }
"""


class CaptionSearch(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """A text field, and the pictures that a model finds for it, best first, with their scores.

    Something always comes first, whatever was typed: a score is a cosine and no probability. Nothing is learned here.

    Args:
        pictures: ``(n, h, w, 3)`` ``uint8`` in 0..255.
        names: What each picture is called, for people; they need not be what the model learned.
        score: From a text to ``(n,)`` finite scores, the higher the better.
        shown: How many pictures are shown, 1 to n.
        text: What is looked for at first.

    Raises:
        ValueError: Pictures and names differ in number or form, or ``shown`` is out of range.
    """

    text = traitlets.Unicode(help="What is looked for.")

    def __init__(
        self, pictures: Array, names: Sequence[str], score: Callable[[str], Array], *, shown: int = 6, text: str = ""
    ) -> None:
        pictures = np.asarray(pictures)
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3 or not len(pictures):
            raise ValueError(f"pictures must be uint8 (n, h, w, 3), got {pictures.dtype} {pictures.shape}.")
        if len(names) != len(pictures):
            raise ValueError(f"names must be one a picture, {len(pictures)}, got {len(names)}.")
        check_count("shown", shown)
        if shown > len(pictures):
            raise ValueError(f"shown must be in 1..{len(pictures)}, got {shown}.")
        self._pictures, self._names, self._score, self._shown = pictures, [*map(str, names)], score, shown
        #: What was found for ``text``: the place of each picture among all, and its score, best first.
        self.found: list[tuple[int, float]] = []
        #: What the widget says, in one line.
        self.sentence = ""
        self._lock = threading.RLock()
        self._still = Still(self._draw, self._size, self._words)
        field = ipywidgets.Text(
            description="find", placeholder="a word or two, then Enter", continuous_update=False,
            layout=ipywidgets.Layout(width="min(440px, 100%)"),
        )  # fmt: skip
        self._list, self._said = ipywidgets.HTML(), ipywidgets.HTML()
        super().__init__([style_sheet(_RULES), Page(), field, self._list, self._said])
        self.add_class("tlkit").add_class("tlkit-search")
        self.text = text
        traitlets.link((self, "text"), (field, "value"))
        self.observe(self._refresh, names=["text"])
        self._refresh()

    def find(self, text: str) -> list[tuple[str, float]]:
        """Look for ``text``: the names of the pictures found and their scores, best first.

        Nothing is found for a text that is empty or longer than 200 letters; ``sentence`` says why.
        """
        self.text = text
        return [(self._names[place], score) for place, score in self.found]

    def _search(self) -> tuple[list[tuple[int, float]], str]:
        text = one_line(self.text, MOST_LETTERS + 1)
        if not text:
            return [], "Type a word or two."
        if len(self.text) > MOST_LETTERS:
            return [], f"A text must have at most {MOST_LETTERS} letters, got {len(self.text):,}."
        try:
            scores = np.asarray(self._score(text), float)
        except Exception as error:  # a model of the learner's may fail in any way; the page must say so
            return [], f"The model has no answer: {reason(error)}"
        if scores.shape != (len(self._names),) or not np.isfinite(scores).all():
            return [], f"The model must give {len(self._names):,} finite scores, got {one_line(scores, 60)}."
        if np.ptp(scores) == 0:
            return [], f"All pictures fit “{shortened(text, 40)}” alike: the model knows nothing of it."
        best = np.argsort(-scores, kind="stable")[: self._shown]
        found = [(int(place), float(scores[place])) for place in best]
        return found, (
            f"For “{shortened(text, 40)}”, best first of {len(self._names):,}, with cosines. "
            "Something always comes first: a cosine is no probability."
        )

    # What is shown

    def _refresh(self, _: Any = None) -> None:
        with self._lock:
            self.found, self.sentence = self._search()
            items = "".join(
                f'<li><img alt="" src="{data_uri(thumbnail(self._pictures[place], _SIDE), exact=True)}">'
                f"<div>{escape(shortened(self._names[place], 60))}</div>"
                f'<div class="tlkit-quiet">{score:.2f}</div></li>'
                for place, score in self.found
            )
            self._list.value = f'<ol class="tlkit-found">{items}</ol>' if items else ""
            self._said.value = f'<p class="tlkit-quiet" role="status">{escape(self.sentence)}</p>'
        self._still.renew()

    def _size(self) -> tuple[float, float]:
        return 8.0, 1.8 if self.found else 0.5

    def _words(self) -> str:
        found = ", ".join(f"{self._names[place]} {score:.2f}" for place, score in self.found)
        return f"CaptionSearch: {self.sentence}{f' {found}.' if found else ''}"

    def _draw(self, figure: Figure) -> None:
        if not self.found:
            figure.text(0.01, 0.5, literal(self.sentence), fontsize=10, color=SOURCE_COLOR, va="center")
            return
        axes = figure.subplots(1, len(self.found), squeeze=False)[0]
        for ax, (place, score) in zip(axes, self.found, strict=True):
            ax.imshow(self._pictures[place])
            ax.set_axis_off()
            ax.set_title(literal(f"{shortened(self._names[place], 18)}\n{score:.2f}"), fontsize=8)
        figure.suptitle(literal(self.sentence.partition(". ")[0]), fontsize=9, color=SOURCE_COLOR)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return self._still.beside(super()._repr_mimebundle_(include=include, exclude=exclude))
