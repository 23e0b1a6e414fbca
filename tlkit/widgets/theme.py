"""What the widgets share: the style sheet, escaped text, and the picture that is left for readers without a kernel."""

from __future__ import annotations

import base64
import html
import io
import warnings
from collections.abc import Callable
from typing import Any

import ipywidgets
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from tlkit.plots import SOURCE_COLOR, TARGET_COLOR

__all__ = ["escape", "literal", "style_sheet", "svg_text", "with_picture"]

# Blue is the source and what is frozen, orange the target and what learns, as in tlkit.plots. On a dark theme both are
# lighter, so that text in them keeps a contrast of 4.5 to 1.
_STYLE = f"""<style>
.tlkit {{
  --tlkit-source: {SOURCE_COLOR}; --tlkit-target: {TARGET_COLOR}; --tlkit-go: #0f766e; --tlkit-wrong: #97266d;
  --tlkit-frozen-fill: #e6f0fb; --tlkit-learns-fill: #fdede3; --tlkit-go-fill: #ecf6f4;
  --tlkit-text: var(--jp-ui-font-color1, #1f2937); --tlkit-quiet: var(--jp-ui-font-color2, #5b6573);
  --tlkit-line: var(--jp-border-color2, #d4dae2); --tlkit-paper: var(--jp-layout-color1, #ffffff);
  color: var(--tlkit-text); max-width: 1280px;
}}
[data-jp-theme-light="false"] .tlkit {{
  --tlkit-source: #7fb3f0; --tlkit-target: #f59a6b; --tlkit-go: #5fcbbd; --tlkit-wrong: #f08bc4;
  --tlkit-frozen-fill: #1d3350; --tlkit-learns-fill: #4a2a1a; --tlkit-go-fill: #12332f;
}}
.tlkit .widget-html-content {{ line-height: 1.4; }}
.tlkit h4 {{ margin: 0; font-size: 15px; }}
.tlkit .tlkit-quiet {{ color: var(--tlkit-quiet); }}
.tlkit svg text {{ fill: var(--tlkit-text); font-family: inherit; }}
.tlkit svg text.quiet {{ fill: var(--tlkit-quiet); }}
.tlkit table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
.tlkit th, .tlkit td {{ padding: 3px 10px; border-bottom: 1px solid var(--tlkit-line); text-align: right; }}
.tlkit th {{ color: var(--tlkit-quiet); font-weight: normal; }}
.tlkit *:focus-visible {{ outline: 2px solid var(--tlkit-source); outline-offset: 1px; }}
</style>"""


def style_sheet(more: str = "") -> ipywidgets.HTML:
    """A widget without size that brings the style sheet, and ``more`` rules; put it first into the outermost box.

    The outermost box takes the class ``tlkit``; colours come as ``var(--tlkit-source)`` and so on, and follow
    JupyterLab's theme.
    """
    rules = f"<style>{more}</style>" if more else ""
    return ipywidgets.HTML(_STYLE + rules, layout=ipywidgets.Layout(height="0", margin="0", overflow="hidden"))


def escape(text: object) -> str:
    """Text for HTML, also inside attributes: a class may be called ``<img src=x onerror=…>``."""
    return html.escape(str(text), quote=True)


def svg_text(x: float, y: float, text: object, anchor: str = "start", more: str = "") -> str:
    """A text in an SVG drawing; ``more`` are further attributes, each with a blank before it."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'


def literal(text: str) -> str:
    """Text for matplotlib, which would read a formula between dollar signs."""
    return text.replace("$", r"\$")


def with_picture(bundle: Any, draw: Callable[[Figure], None], size: tuple[float, float], words: str) -> dict[str, Any]:
    """A widget's output with a picture and words beside the view, for readers without a kernel.

    Args:
        bundle: What the widget's own ``_repr_mimebundle_`` gave: data, or data and metadata.
        draw: Draws the picture; the figure belongs to no pyplot, so that any thread may draw.
        size: Inches.
        words: What ``text/plain`` says.
    """
    data = dict(bundle[0] if isinstance(bundle, tuple) else bundle)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure)
    drawn, stored = io.BytesIO(), io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a class may be named in any script
        figure.savefig(drawn, format="png", dpi=100)
    # With a palette it takes a third of the bytes, which a stored notebook has to carry.
    with Image.open(drawn) as picture:
        picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(stored, "PNG", optimize=True)
    return {**data, "image/png": base64.b64encode(stored.getvalue()).decode(), "text/plain": words}
