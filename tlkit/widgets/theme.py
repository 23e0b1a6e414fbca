"""What the widgets share: the style sheet, text that is escaped for where it goes, and places in a drawing."""

from __future__ import annotations

import html

import ipywidgets
import numpy as np

from tlkit.domains import Array
from tlkit.plots import SOURCE_COLOR, TARGET_COLOR

__all__ = ["STYLE", "escape", "literal", "spread_over", "style_sheet", "svg_text"]

# Blue is the source and what is frozen, orange the target and what learns, as in tlkit.plots. On a dark theme both are
# lighter, so that text in them keeps a contrast of 4.5 to 1.
STYLE = f"""<style>
.tlkit {{
  --tlkit-source: {SOURCE_COLOR}; --tlkit-target: {TARGET_COLOR}; --tlkit-go: #0f766e; --tlkit-wrong: #97266d;
  --tlkit-frozen-fill: #e6f0fb; --tlkit-learns-fill: #fdede3; --tlkit-go-fill: #ecf6f4;
  --tlkit-wrong-fill: #fbeaf2;
  --tlkit-text: var(--jp-ui-font-color1, #1f2937); --tlkit-quiet: var(--jp-ui-font-color2, #5b6573);
  --tlkit-line: var(--jp-border-color2, #d4dae2); --tlkit-paper: var(--jp-layout-color1, #ffffff);
  color: var(--tlkit-text); max-width: 1280px;
}}
[data-jp-theme-light="false"] .tlkit {{
  --tlkit-source: #7fb3f0; --tlkit-target: #f59a6b; --tlkit-go: #5fcbbd; --tlkit-wrong: #f08bc4;
  --tlkit-frozen-fill: #1d3350; --tlkit-learns-fill: #4a2a1a; --tlkit-go-fill: #12332f;
  --tlkit-wrong-fill: #3d1a2f;
}}
.tlkit .widget-html-content {{ line-height: 1.4; }}
.tlkit h4 {{ margin: 0; font-size: 15px; }}
.tlkit .tlkit-quiet {{ color: var(--tlkit-quiet); }}
.tlkit svg text {{ fill: var(--tlkit-text); font-family: inherit; }}
.tlkit svg text.quiet {{ fill: var(--tlkit-quiet); }}
.tlkit .tlkit-framed svg {{ width: 100%; max-width: 720px; border: 1px solid var(--tlkit-line); border-radius: 7px; }}
.tlkit table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
.tlkit th, .tlkit td {{ padding: 3px 10px; border-bottom: 1px solid var(--tlkit-line); text-align: right; }}
.tlkit th {{ color: var(--tlkit-quiet); font-weight: normal; }}
.tlkit *:focus-visible {{ outline: 2px solid var(--tlkit-source); outline-offset: 1px; }}
.tlkit.widget-box, .tlkit .widget-box {{ overflow: visible; }} /* ipywidgets' scrollbars come at the least overflow */
/* JupyterLab gives this class to the views of a kernel that was restarted. */
.tlkit .jupyter-widgets-disconnected::before {{ display: none; }}
.tlkit.jupyter-widgets-disconnected::before {{ font: inherit; font-weight: bold; color: var(--tlkit-wrong);
  content: "The kernel was restarted: run this cell again."; }}
.tlkit.jupyter-widgets-disconnected > * {{ opacity: 0.5; }}
</style>"""


def style_sheet(more: str = "") -> ipywidgets.HTML:
    """A widget without size that brings the style sheet, and ``more`` rules; put it first into the outermost box.

    The outermost box takes the class ``tlkit``; colours come as ``var(--tlkit-source)`` and so on, and follow
    JupyterLab's theme.
    """
    rules = f"<style>{more}</style>" if more else ""
    return ipywidgets.HTML(STYLE + rules, layout=ipywidgets.Layout(height="0", margin="0", overflow="hidden"))


def escape(text: object) -> str:
    """Text for HTML, also inside attributes: a class may be called ``<img src=x onerror=…>``."""
    return html.escape(str(text), quote=True)


def svg_text(x: float, y: float, text: object, anchor: str = "start", more: str = "") -> str:
    """A text in an SVG drawing; ``more`` are further attributes, each with a blank before it."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'


def spread_over(points: Array, width: float, height: float, margin: float) -> Array:
    """Points ``(n, 2)`` moved and stretched until they fill a drawing up to its margin; all in one unit."""
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.array([width, height]) - 2 * margin
    places: Array = (points - low) / np.maximum(high - low, 1e-9) * room + margin
    return places


def literal(text: str) -> str:
    """Text for matplotlib, which would read a formula between dollar signs."""
    return text.replace("$", r"\$")
