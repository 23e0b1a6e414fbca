"""The weights of a model: drawn from a seed, or read from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tlkit._keras import keras
from tlkit._keras.graph import all_layers
from tlkit.domains import check_seed

__all__ = ["draw_weights", "load_weights"]

_INITIALIZER = "_initializer"


def draw_weights(model: keras.Model, seed: int) -> None:
    """New start weights from ``seed`` alone: Keras' global seed is neither read nor moved.

    Every weight that a layer of the model, or of one inside it, has an initializer for is drawn by that initializer:
    kernels of dense, convolutional, depthwise and separable layers, embeddings, and whatever else has ``NAME`` and
    ``NAME_initializer``. No two start alike. What starts the same each time (zeros, ones) stays as it is, so biases and
    BatchNorm are a new model's only if the model is new. The generators of dropout and augmentation start anew, too.

    Args:
        seed: 0 or more.

    Raises:
        ValueError: ``seed`` is out of range.
    """
    check_seed(seed)
    layers = all_layers(model)
    drawn = [found for layer in layers for found in _drawn_weights(layer)]
    states = np.random.SeedSequence(seed).generate_state(len(drawn)).tolist()
    for (weight, initializer), state in zip(drawn, states, strict=True):
        seeded = type(initializer).from_config({**initializer.get_config(), "seed": state})
        weight.assign(seeded(weight.shape))
    generators = [layer.seed_generator for layer in layers if hasattr(layer, "seed_generator")]
    for number, generator in enumerate(generators):
        start = np.random.SeedSequence([seed, number]).generate_state(2)
        generator.state.assign(start.astype(generator.state.dtype))


def _drawn_weights(layer: keras.layers.Layer) -> list[tuple[keras.Variable, keras.initializers.Initializer]]:
    """The layer's own weights that start at random, with what draws them, in the order of the initializers' names."""
    found = []
    for attribute in dir(layer):
        if not attribute.endswith(_INITIALIZER) or attribute.startswith("_"):
            continue
        initializer, name = getattr(layer, attribute), attribute.removesuffix(_INITIALIZER)
        if not isinstance(initializer, keras.initializers.Initializer) or "seed" not in initializer.get_config():
            continue
        # A separable layer has a depthwise_kernel and a cell a recurrent_kernel; a depthwise layer has a plain kernel.
        names = (name, f"{name}_kernel", *(["kernel"] if name == "depthwise" else []))
        weights = (getattr(layer, candidate, None) for candidate in names)
        weight = next((weight for weight in weights if isinstance(weight, keras.Variable)), None)
        if weight is not None:
            found.append((weight, initializer))
    return found


def load_weights(model: keras.Model, path: Path, name: str) -> None:
    """Read a weights file into a model, or leave the model as it was.

    Raises:
        ValueError: The file is absent, of another kind, or fits another architecture than ``name``.
    """
    if not path.is_file():
        raise ValueError(f"weights must be an existing .weights.h5 or .h5 file, got {str(path)!r}.")
    if path.suffix != ".h5":
        raise ValueError(f"weights must be a .weights.h5 or .h5 file, got {path.name!r}.")
    before = model.get_weights()
    try:
        if _arrays_in(path) != len(before):  # Keras itself passes over arrays that the model has no place for
            raise ValueError
        model.load_weights(path)
    except Exception as error:  # Keras and h5py raise several types, over many lines
        model.set_weights(before)  # a half-loaded model must not go on as if it were whole
        raise ValueError(f"weights must fit the architecture {name!r}, got {path.name!r}, which does not.") from error


def _arrays_in(path: Path) -> int:
    """The number of weight arrays in a Keras HDF5 file, those of an optimizer and of dropout's seeds left out."""
    import h5py

    names: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return sum(not name.startswith("optimizer") and "seed_generator" not in name for name in names)
