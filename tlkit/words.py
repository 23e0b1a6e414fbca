"""The words of messages: anything as one line, plurals, lists cut short, what was meant, what must be installed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

__all__ = [
    "counted",
    "is_text",
    "must_install",
    "nearest_name",
    "one_line",
    "printable",
    "reason",
    "said",
    "shortened",
    "some_of",
]

_LISTED = 100  # names that an error lists in full


def one_line(text: object, limit: int = 400) -> str:
    """A text, or an error's, as one printable line of at most ``limit`` characters: no colours, no line ends."""
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", str(text)[: 10 * limit])
    return shortened(" ".join("".join(c if c.isprintable() else " " for c in plain).split()), limit)


def reason(error: BaseException, limit: int = 200) -> str:
    """What an error of another library says, as one line; one that says nothing has the name of its kind."""
    return one_line(error, limit) or type(error).__name__


def said(error: BaseException) -> str:
    """What a stranger's exception says, as it is; nothing where its own ``__str__`` fails."""
    try:
        return str(error)
    except BaseException:  # it may raise anything
        return ""


def printable(name: str) -> str:
    """A stranger's name as it is, a ``?`` in place of what cannot be printed: a line end, or bytes that are no text."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def is_text(name: str) -> bool:
    """Whether a name can be written anywhere: a file system may give bytes that are no text, JSON half a character."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def shortened(text: str, limit: int) -> str:
    """A text of at most ``limit`` characters, 1 or more, with an ellipsis where some are left out."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def counted(n: int, noun: str, plural: str = "") -> str:
    """``1 layer``, ``1,234 layers``; ``plural`` where an s does not make it."""
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"


def some_of(names: Sequence[str], limit: int = 3) -> str:
    """The first ``limit`` names, and how many more there are: ``a, b, c and 2 more``."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more:,} more" if more > 0 else "")


def must_install(package: str, extra: str) -> str:
    """Text for an error: a package is missing, and the extra of tlkit's that brings it."""
    return f"{package} must be installed for this: pip install 'tlkit[{extra}]'."


def nearest_name(given: object, allowed: Iterable[str]) -> str:
    """Text for an error: the allowed names, what was given and, when one is close, the likely meaning.

    Of more than 100 names, such as ImageNet's, it lists the closest three alone.
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(str(given), names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listed = names
    if len(names) > _LISTED:
        listed = difflib.get_close_matches(str(given), names, n=3, cutoff=0.0)
    more = f" and {len(names) - len(listed):,} more" if len(names) > len(listed) else ""
    return f"one of {', '.join(map(repr, listed))}{more}, got {given!r}.{hint}"
