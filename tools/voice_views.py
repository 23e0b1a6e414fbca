"""Random views of a spoken word: what `tools/pretrain.py --source voices` trains on.

A synthetic voice is cleaner than any recording: its formants are narrow lines, and between them is nothing. So a view
makes them wider, fills the gaps with noise and a room, and moves both axes as other speakers do.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlkit.speech import BANDS, FRAMES, RANGE_DB

Array = NDArray[Any]
KNOTS = 5  # of a smooth curve over the bands


@dataclasses.dataclass(frozen=True)
class VoiceRecipe:
    """How to train; each number is the largest strength, drawn anew for each picture."""

    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.05  # share of the steps
    label_smoothing: float = 0.1
    ends: float = 3.0  # frames by which a word begins and ends earlier or later
    bend: float = 0.3  # a word whose middle comes earlier or later: share of its length, times four
    zoom: float = 0.1  # logarithm of the scale of the bands: a longer or shorter vocal tract
    shift: float = 2.0  # bands
    tilt: float = 4.0  # dB, spread of a smooth gain over the bands: another microphone
    smear: float = 3.0  # bands, the width of a Gaussian
    room: float = 30.0  # frames in which an echo falls by 60 dB; 3 is the least
    echo: float = 0.5  # its share
    noise: float = -15.0  # dB, the loudest background; -50 is the softest
    colour: float = 4.0  # dB, spread of the background over the bands
    grain: float = 4.0  # dB, spread of each cell
    bfloat16: bool = False
    centred: bool = False


def _weights(at: Array, length: int) -> Array:
    """Linear interpolation at positions (n, m) as matrices (n, m, length); outside, the ends go on."""
    there = np.clip(at, 0, length - 1)[:, :, None]
    return np.clip(1 - np.abs(there - np.arange(length, dtype=np.float32)), 0, None)


def augment(images: Array, recipe: VoiceRecipe, rng: np.random.Generator) -> Array:
    """A random view of each picture: (n, 40, 40, 1) uint8 in, float32 in 0..255 out."""
    n = len(images)

    def uniform(low: float, high: float) -> Array:
        return rng.uniform(low, high, (n, 1)).astype(np.float32)

    def curve(spread: float) -> Array:
        """Smooth over the bands: (n, bands)."""
        at = np.arange(BANDS, dtype=np.float32)[None] / (BANDS - 1) * (KNOTS - 1)
        knots = spread * rng.standard_normal((n, KNOTS)).astype(np.float32)
        return np.asarray(knots @ _weights(at, KNOTS)[0].T)

    moment = np.arange(FRAMES, dtype=np.float32)[None] / (FRAMES - 1)
    moment = moment + uniform(-recipe.bend, recipe.bend) * moment * (1 - moment)
    begin, end = uniform(-recipe.ends, recipe.ends), FRAMES - 1 + uniform(-recipe.ends, recipe.ends)
    times = _weights(begin + (end - begin) * moment, FRAMES)
    middle = (BANDS - 1) / 2
    pitch = (np.arange(BANDS, dtype=np.float32) - middle) * np.exp(uniform(-recipe.zoom, recipe.zoom)) + middle
    bands = _weights(pitch + uniform(-recipe.shift, recipe.shift), BANDS)
    moved = bands @ images[..., 0].astype(np.float32) @ times.transpose(0, 2, 1)

    power = 10 ** ((RANGE_DB * (moved / 255 - 1) + curve(recipe.tilt)[:, :, None]) / 10)
    apart = np.arange(BANDS, dtype=np.float32)[:, None] - np.arange(BANDS, dtype=np.float32)
    blur = np.exp(-0.5 * (apart / uniform(0.01, recipe.smear + 0.01)[:, :, None]) ** 2)
    power = blur / blur.sum(axis=2, keepdims=True) @ power
    fall, share = 10 ** (-6 / uniform(3, recipe.room)), uniform(0, recipe.echo)
    echo = np.zeros_like(power[:, :, 0])
    for frame in range(FRAMES):
        echo = echo * fall + power[:, :, frame] * share
        power[:, :, frame] += echo
    background = 10 ** ((uniform(-50, recipe.noise) + curve(recipe.colour))[:, :, None] / 10)
    power = power / power.max(axis=(1, 2), keepdims=True)
    power = power + background * rng.standard_gamma(2.0, power.shape).astype(np.float32) / 2
    level = 10 * np.log10(power) + recipe.grain * rng.standard_normal(power.shape, np.float32)
    level = level - level.max(axis=(1, 2), keepdims=True)
    return np.asarray(255 * np.clip(1 + level / RANGE_DB, 0, 1)[..., None], np.float32)
