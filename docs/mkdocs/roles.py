"""Docstrings as the site needs them: those of tlkit use a little of Sphinx' notation, which reads well in help()."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:mod|class|func|meth|attr|data|exc):`(~?)([\w.]+)`")
CODE_FOLLOWS = re.compile(r"::$", re.M)


def link(role: re.Match[str]) -> str:
    """A cross-reference for :func:`fit`; mkdocstrings looks a short name up from the object whose docstring it is."""
    short, name = role.groups()
    return f"[`{name.rpartition('.')[2] if short else name}`][{name}]"


class Roles(griffe.Extension):
    """Rewrites every docstring. What has none is not shown: the docstring of a class speaks of its fields."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = CODE_FOLLOWS.sub(":", ROLE.sub(link, obj.docstring.value))
        elif obj.is_attribute and obj.parent is not None and obj.parent.is_module:
            obj.docstring = griffe.Docstring("A constant.", parent=obj)
