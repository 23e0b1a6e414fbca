"""A path that a caller gave."""

from __future__ import annotations

from pathlib import Path

from tlkit.words import one_line

__all__ = ["check_path"]


def check_path(name: str, value: object, what: str = "a file or folder") -> Path:
    """The path that ``value`` is; of ``what``, the error says.

    Raises:
        ValueError: It is neither a ``Path`` nor text, or text that names nothing.
    """
    if not isinstance(value, (str, Path)) or "\0" in str(value) or value == "":
        raise ValueError(f"{name} must name {what} (text or a Path), got {one_line(repr(value), 80)}.")
    return Path(value)
