"""What only the page can do: describe controls to screen readers, and tell what was pressed in a drawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget

__all__ = ["Page"]


class Page(anywidget.AnyWidget):
    """A widget without size, for the outermost box of others, which has the class ``tlkit``.

    Sliders get a name and their value in words, toggles say whether they are pressed, a player's buttons what they do.
    In a drawing an element with ``data-press`` can be pressed by mouse and keyboard; those with ``data-row`` and
    ``data-column`` are a grid in which arrow keys lead from one to the next.

    Args:
        pressed: Called with the text of ``data-press``, whatever a page has sent as such.
    """

    _esm = Path(__file__).with_name("page.js")

    def __init__(self, pressed: Callable[[str], None] = lambda what: None) -> None:
        super().__init__(layout={"display": "none"})
        self._pressed = pressed
        self.on_msg(self._heard)

    def _heard(self, _: Any, message: Any, buffers: Sequence[Any]) -> None:
        what = message.get("press") if isinstance(message, dict) else None
        if isinstance(what, str):
            self._pressed(what)
