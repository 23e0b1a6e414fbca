"""What Keras and TensorFlow keep or move beside gradients: random states, scopes, what ``fit`` sets, own weights."""

from __future__ import annotations

import contextlib
import random
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

from tlkit._keras.start import keras

__all__ = [
    "built_for",
    "call_as_flagged",
    "drawing_from",
    "heed_flag",
    "learner",
    "name_scopes_kept",
    "random_states_kept",
    "without_traces_of_fit",
]

# No public function leads to the metrics that compile was given, nor to whether they are built.
_METRICS = "_compile_metrics"
# What a training step, or tlkit.audit, sets on a model beside its variables.
_SET_BY_FIT = ("optimizer", _METRICS, "history", "stop_training")


def heed_flag(layer: keras.layers.Layer) -> None:
    """Let a layer that renews its own weights in each training step do so only while its flag says that it learns.

    Of Keras' layers that is SpectralNormalization, which asks no flag. BatchNorm asks it, and others renew nothing.
    """
    if isinstance(layer, keras.layers.SpectralNormalization) and "call" not in vars(layer):
        vars(layer)["call"] = types.MethodType(call_as_flagged, layer)


def learner(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The layer whose weights learn: for SpectralNormalization, which keeps it as its own, the one within it."""
    return layer.layer if isinstance(layer, keras.layers.SpectralNormalization) else layer


def call_as_flagged(layer: Any, inputs: Any, training: bool = False) -> Any:
    """The layer's call, in inference mode while it is frozen."""
    return type(layer).call(layer, inputs, training=training and layer.trainable)


def built_for(optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """The weights that an optimizer was built to change; none as long as it is not built."""
    # The public optimizer.variables are its own, such as running means.
    return list(optimizer._trainable_variables) if optimizer.built else []


@contextlib.contextmanager
def without_traces_of_fit(model: keras.Model) -> Iterator[None]:
    """Within it the model may be fitted; afterwards it has the optimizer, metrics and history that it had.

    An optimizer that is not built yet is replaced by a clone meanwhile, since building cannot be undone. Variables are
    the caller's: those that were there are not put back here.
    """
    attributes = vars(model)  # set here and not as attributes, which Keras would track as new parts of the model
    kept = {name: attributes[name] for name in _SET_BY_FIT if name in attributes}
    optimizer = model.optimizer if model.compiled else None
    metrics = getattr(model, _METRICS, None)
    try:
        if optimizer is not None and not optimizer.built:
            attributes["optimizer"] = type(optimizer).from_config(optimizer.get_config())
        if metrics is not None and not metrics.built:
            attributes[_METRICS] = None
        yield
    finally:
        for name in set(_SET_BY_FIT) & set(attributes):
            del attributes[name]
        attributes.update(kept)


def _global_state() -> Any:
    # Keras has no public look at its global seed generator that does not make one, nor at its open name scopes.
    from keras.src.backend.common import global_state

    return global_state


def _tensorflow_generator() -> Any:
    # tf.random.set_seed seeds a generator of the eager context, which no public function reads.
    from tensorflow.python.eager import context

    return getattr(context.context(), "_rng", None)


@contextlib.contextmanager
def random_states_kept() -> Iterator[None]:
    """Afterwards the global generators of Python, NumPy, Keras and TensorFlow are where they were."""
    python, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002  # the global state is kept, not used
    generator = _global_state().get_global_attribute("global_seed_generator")
    state = None if generator is None else generator.state.numpy().copy()
    tensorflow = _tensorflow_generator()
    tensorflows = None if tensorflow is None else tensorflow.getstate()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpys)  # noqa: NPY002
        _global_state().set_global_attribute("global_seed_generator", generator)
        if generator is not None:
            generator.state.assign(state)
        if tensorflow is not None:
            tensorflow.setstate(tensorflows)


@contextlib.contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """Within it Python's generator draws from ``seed``, as AugMix does while a graph of it is made."""
    with random_states_kept():
        random.setstate(random.Random(int(seed)).getstate())
        yield


@contextlib.contextmanager
def name_scopes_kept() -> Iterator[None]:
    """Afterwards as many of Keras' name scopes are open as before.

    A name that TensorFlow's graphs do not take raises when its scope opens, and Keras then leaves it open.
    """

    def scopes() -> list[Any]:  # the very list that Keras keeps, the outermost scope first
        found: list[Any] = _global_state().get_global_attribute("name_scope_stack", default=[], set_to_default=True)
        return found

    opened = len(scopes())
    try:
        yield
    finally:
        del scopes()[opened:]
