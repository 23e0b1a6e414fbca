"""Graphs of functions as they are written: AutoGraph is left out, as Keras leaves it out of ``fit``.

It rewrites the source of a function, and of all that it calls, so that a Python ``if`` or ``for`` may ask a tensor.
Nothing of tlkit's does, and the rewriting takes a third of a second before a process' first step. Keras' own code, and
layers that Keras calls, are never rewritten; a ``tf.function`` within one of those is, as before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tlkit._keras.start import tf

__all__ = ["as_written", "graph_of"]

F = TypeVar("F", bound=Callable[..., Any])


def graph_of(function: Callable[..., Any], signature: Sequence[Any] | None = None) -> Any:
    """``tf.function`` of a function that asks no tensor in a Python ``if`` or ``for``."""
    return tf.function(function, input_signature=signature, autograph=False)


def as_written(function: F) -> F:
    """The same for what is given to the ``map`` or ``filter`` of a ``tf.data`` set, which take no such option."""
    kept: F = tf.autograph.experimental.do_not_convert(function)
    return kept
