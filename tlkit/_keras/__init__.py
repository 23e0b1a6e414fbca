"""TensorFlow and Keras, and the only room with private names of theirs.

Whoever needs to know how Keras keeps a graph, or what ``fit`` leaves on a model, asks here. Each private name stands in
one place, under a comment that says which public function is missing, so that a new Keras breaks nothing elsewhere.
"""

from tlkit._keras.start import keras, tf

__all__ = ["keras", "tf"]
