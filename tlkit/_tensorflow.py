"""The former name of :mod:`tlkit._keras`: notebooks that students handed in before, and old exercises, import it."""

from tlkit._keras import keras, tf

__all__ = ["keras", "tf"]
