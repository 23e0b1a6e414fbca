"""Formulas in Markdown as MathML, which browsers draw without a script and without a network.

math-core is fast on what people write, and not made for what they might write: thirty opening brackets take it minutes,
and ten thousand braces end the process. So it gets the formulas of the course, and short ones of anybody.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Callable
from typing import Any

__all__ = ["draw_formulas", "markdown_with_formulas", "trust_formulas"]

_MOST_MARKS, _LONGEST = 12, 300  # of a formula that is not the course's
_MARK = re.compile(r"[\\{(\[|<^_]")
# Around a formula's text until all is clean. Tags are stepped over: a formula in an attribute stays text.
_BEGIN, _END = "\ue000", "\ue001"
_PIECE = re.compile(rf"""<(?:[^<>"']|"[^"]*"|'[^']*')*>|{_BEGIN}(?P<formula>[^<{_BEGIN}{_END}]*){_END}""")
# What may come out: elements and attributes of presentation, and no links.
_NAMES = (
    "math|mi|mo|mn|mtext|mrow|mfrac|msup|msub|msubsup|munder|mover|munderover|msqrt|mroot|mtable|mtr|mtd|mspace|mpadded|"
    "mphantom|menclose|mstyle"
)
_MATHML = re.compile(rf"""(?:[^<>]|</?(?:{_NAMES})(?: (?!on|href|src)[a-z]+="[\w\s:;.%#+-]*")*/?>)*""")

_trusted: set[str] = set()


def trust_formulas(markdown: str) -> None:
    """Draw the formulas of this text wherever they stand, however long they are: it is the course's."""
    _render(markdown, _trusted.add)


def markdown_with_formulas(markdown: str) -> str:
    """Markdown as HTML that is still to be cleaned, its formulas marked for :func:`draw_formulas`."""
    return _render(markdown.translate({ord(_BEGIN): None, ord(_END): None}), lambda formula: None)


def draw_formulas(cleaned: str) -> str:
    """Clean HTML with MathML in place of marked formulas; one that cannot be drawn stays as it was written."""

    def drawn(match: re.Match[str]) -> str:
        if match["formula"] is None:
            return match[0]
        return _mathml(html.unescape(match["formula"])) or match["formula"]

    return _PIECE.sub(drawn, cleaned).translate({ord(_BEGIN): None, ord(_END): None})


def _render(markdown: str, note: Callable[[str], None]) -> str:
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Marking(IPythonRenderer):  # type: ignore[misc]  # nbconvert ships no types
        def _marked(self, formula: str) -> str:
            note(formula)
            return f"{_BEGIN}{html.escape(formula, quote=False)}{_END}"

        def inline_math(self, body: str) -> str:
            return self._marked(f"${body}$")

        def block_math(self, body: str) -> str:
            return self._marked(f"$${body}$$")

        def latex_environment(self, name: str, body: str) -> str:
            return self._marked(f"\\begin{{{name}}}{body}\\end{{{name}}}")

    return str(MarkdownWithMath(renderer=Marking(escape=False, exclude_anchor_links=True)).render(markdown))


@functools.lru_cache(1024)
def _mathml(formula: str) -> str:
    """A formula, with its dollar signs, as MathML; nothing if it is not one, or is not safe to convert."""
    import math_core

    if formula not in _trusted and (len(formula) > _LONGEST or len(_MARK.findall(formula)) > _MOST_MARKS):
        return ""
    inline = formula.startswith("$") and not formula.startswith("$$")
    converter: Any = math_core.LatexToMathML(fancy_error=False, max_expansions=0)
    try:
        drawn = str(converter.convert_with_local_state(formula.strip("$").strip(), displaystyle=not inline))
    except math_core.LatexError:
        return ""
    return drawn if _MATHML.fullmatch(drawn) else ""
