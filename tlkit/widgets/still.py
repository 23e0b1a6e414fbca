"""The picture and the words that are left of a widget for readers without a kernel."""

from __future__ import annotations

import base64
import io
import threading
import warnings
from collections.abc import Callable
from typing import Any

from IPython import get_ipython
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from tlkit.widgets.theme import escape

__all__ = ["Still"]

_PAUSE = 1.0  # seconds without a change after which the picture is drawn anew
# Two threads may draw at once. What is ignored of warnings belongs to the process: the first to end would put it back.
_DRAWING = threading.Lock()

# JupyterLab gives the class jupyter-widgets to an output whose widget is gone. Where there is one, the picture is seen
# in its place. Elsewhere (GitHub, an untrusted notebook) rules are taken away, and the attribute `hidden` holds.
_DEAD = "> .jp-OutputArea-output.jupyter-widgets"
_RULES = f"""
.jp-OutputArea:not(:has(> .jp-OutputArea-child {_DEAD})) > .jp-OutputArea-child:has(.tlkit-still) {{ display: none; }}
.jp-OutputArea:has(.tlkit-still) > .jp-OutputArea-child:has({_DEAD}) {{ display: none; }}
.jp-OutputArea .tlkit-still[hidden] {{ display: block !important; }}
.tlkit-still::before {{ color: var(--jp-ui-font-color2);
  content: "The widget as it was last. To use it, run its cell."; }}
"""


class Still:
    """What a widget looks like, for readers without a kernel.

    It stands beside the view in the same output, where GitHub and the documentation find it. JupyterLab prefers the
    view even when the kernel that had the widget is gone, and then says "model not found". So a page of a notebook also
    gets the picture as an output of its own, hidden while the view lives, and drawn anew when the widget has changed.
    A notebook that is run without a page gets no such output.

    Args:
        draw: Draws the picture; the figure belongs to no pyplot, so that any thread may draw.
        size: Inches.
        words: What ``text/plain`` says.
    """

    def __init__(
        self, draw: Callable[[Figure], None], size: Callable[[], tuple[float, float]], words: Callable[[], str]
    ) -> None:
        self._draw, self._size, self._words = draw, size, words
        self._lock = threading.Lock()
        self._output: Any = None  # of its own
        self._timer: threading.Timer | None = None

    def beside(self, bundle: Any) -> dict[str, Any]:
        """A widget's output with picture and words beside the view.

        Args:
            bundle: What the widget's own ``_repr_mimebundle_`` gave: data, or data and metadata.
        """
        data = dict(bundle[0] if isinstance(bundle, tuple) else bundle)
        picture, words = self._picture(), self._words()
        if _for_a_page():
            self._output = display(self._hidden(picture), raw=True, display_id=True)  # type: ignore[no-untyped-call]
        return {**data, "image/png": base64.b64encode(picture).decode(), "text/plain": words}

    def renew(self) -> None:
        """The widget has changed: draw the output of its own anew, soon and in a thread, if there is one."""
        if self._output is None:
            return
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(_PAUSE, lambda: self._output.update(self._hidden(self._picture()), raw=True))
            self._timer.daemon = True
            self._timer.start()

    def _hidden(self, picture: bytes) -> dict[str, str]:
        with Image.open(io.BytesIO(picture)) as opened:
            width, height = opened.size
        # A background, not an image: where rules and styles are taken away, nothing is left of it.
        look = (
            f"max-width:{width}px;aspect-ratio:{width}/{height};background-size:100% 100%;"
            f"background-image:url(data:image/png;base64,{base64.b64encode(picture).decode()})"
        )
        image = f'<div role="img" aria-label="{escape(self._words())}" style="{look}"></div>'
        return {"text/html": f'<style>{_RULES}</style><div class="tlkit-still" hidden>{image}</div>'}

    def _picture(self) -> bytes:
        figure = Figure(figsize=self._size(), layout="constrained")
        FigureCanvasAgg(figure)
        self._draw(figure)
        drawn, stored = io.BytesIO(), io.BytesIO()
        with _DRAWING, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a class may be named in any script
            figure.savefig(drawn, format="png", dpi=100)
        # With a palette it takes a third of the bytes, which a stored notebook has to carry.
        with Image.open(drawn) as picture:
            picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(stored, "PNG", optimize=True)
        return stored.getvalue()


def _for_a_page() -> bool:
    """Whether the cell that runs now was sent by a page of a notebook, which names it; programs do not."""
    shell = get_ipython()
    request = shell.get_parent() if hasattr(shell, "get_parent") else {}
    return "cellId" in request.get("metadata", {})
