"""EfficientNet-Lite0: the bundled network that knows ImageNet's photographs, and its file.

EfficientNet (Tan & Le, 2019, arXiv:1905.11946) is a row of inverted residual blocks: a block widens its input by a
convolution of one pixel, filters each channel by itself, and narrows again. The lite variant leaves out the
squeeze-and-excitation of each block, and its ReLU6 stands in for the swish: what is left are convolutions, BatchNorm
and additions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit._keras import keras
from tlkit.assets import asset_path
from tlkit.backbones.applications import to_rgb_of_size
from tlkit.domains import check_seed

__all__ = ["EFFICIENTNET_LITE0_STAGE_ENDS", "efficientnet_lite0", "imagenet_classes", "load_efficientnet_lite0"]

FILE, CLASSES_FILE = "efficientnet_lite0.keras", "imagenet_classes.txt"
N_CLASSES = 1000
_STEM, _TOP = 32, 1280  # channels before the first block and behind the last
BATCHNORM_EPSILON = 1e-3


@dataclass(frozen=True)
class _Group:
    """Blocks of one width; the first of them may halve height and width, and only it has no way around."""

    blocks: int
    kernel: int
    strides: int
    widening: int
    channels: int


_GROUPS = (
    _Group(1, 3, 1, 1, 16),
    _Group(2, 3, 2, 6, 24),
    _Group(2, 5, 2, 6, 40),
    _Group(3, 3, 2, 6, 80),
    _Group(3, 5, 1, 6, 112),
    _Group(4, 5, 2, 6, 192),
    _Group(1, 3, 1, 6, 320),
)
# A stage a group. The stem belongs to the first, the convolution behind the blocks to the last.
EFFICIENTNET_LITE0_STAGE_ENDS = (
    "block1a_project_bn", "block2b_add", "block3b_add", "block4c_add", "block5c_add", "block6d_add", "top_activation",
)  # fmt: skip


def efficientnet_lite0(
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    image_size: int | None = None,
    *,
    top: bool = False,
    seed: int = 0,
) -> keras.Model:
    """EfficientNet-Lite0 with random weights; layers are called as in the EfficientNet of keras.applications.

    Args:
        input_shape: Height, width and channels of the raw images; 1 or 3 channels. ``None`` is any height, any width.
        image_size: The side to which the model resizes them, in pixels; ``None`` takes them as they are.
        top: Whether global average pooling and ImageNet's 1,000 logits end the model.
        seed: Makes the He-normal start weights; it does not touch Keras' global seed.

    Returns:
        A model from pixels ``(n, h, w, c)`` in 0..255 to ``(n, h / 32, w / 32, 1280)``, rounded up, or to logits
        ``(n, 1000)``.

    Raises:
        ValueError: ``seed`` is out of range.
    """
    check_seed(seed)
    seeds = iter(np.random.SeedSequence(seed).generate_state(64).tolist())
    image = keras.Input(input_shape, name="image")
    x: Any = to_rgb_of_size(image, image_size)
    # (x - 127) / 128, as in training: not quite the -1..1 of other networks.
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="rescale")(x)
    x = _conv(x, _STEM, 3, 2, "stem", seeds)
    for number, group in enumerate(_GROUPS, start=1):
        for i in range(group.blocks):
            x = _block(x, group, 1 if i else group.strides, f"block{number}{chr(ord('a') + i)}", seeds)
    x = _conv(x, _TOP, 1, 1, "top", seeds)
    if top:
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = keras.layers.Dense(
            N_CLASSES, kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)), name="logits"
        )(x)
    return keras.Model(image, x, name="efficientnet_lite0")


def _conv(x: Any, channels: int, kernel: int, strides: int, part: str, seeds: Iterator[int]) -> Any:
    x = keras.layers.Conv2D(
        channels,
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=keras.initializers.HeNormal(seed=next(seeds)),
        name=f"{part}_conv",
    )(x)
    return _activated(x, part)


def _activated(x: Any, part: str) -> Any:
    x = keras.layers.BatchNormalization(epsilon=BATCHNORM_EPSILON, name=f"{part}_bn")(x)
    return keras.layers.ReLU(max_value=6.0, name=f"{part}_activation")(x)


def _block(x: Any, group: _Group, strides: int, part: str, seeds: Iterator[int]) -> Any:
    """Widen, filter each channel, narrow; around it where nothing changes its shape."""
    y = x
    if group.widening > 1:
        y = _conv(y, group.widening * x.shape[-1], 1, 1, f"{part}_expand", seeds)
    y = keras.layers.DepthwiseConv2D(
        group.kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        depthwise_initializer=keras.initializers.HeNormal(seed=next(seeds)),
        name=f"{part}_dwconv",
    )(y)
    y = _activated(y, part)
    y = keras.layers.Conv2D(
        group.channels,
        1,
        use_bias=False,
        kernel_initializer=keras.initializers.HeNormal(seed=next(seeds)),
        name=f"{part}_project_conv",
    )(y)
    y = keras.layers.BatchNormalization(epsilon=BATCHNORM_EPSILON, name=f"{part}_project_bn")(y)
    if strides > 1 or x.shape[-1] != group.channels:
        return y
    return keras.layers.Add(name=f"{part}_add")([y, x])


def load_efficientnet_lite0(
    input_shape: tuple[int, int, int] = (224, 224, 3), image_size: int | None = None
) -> keras.Model:
    """The bundled network without its head, which stays in the file; see `efficientnet_lite0`.

    Raises:
        tlkit.assets.AssetError: The bundled file is missing or altered.
    """
    path = asset_path(FILE)
    model = efficientnet_lite0(input_shape, image_size)
    model.load_weights(path)  # in half precision there, in single here
    return model


def imagenet_classes() -> tuple[str, ...]:
    """The 1,000 names of ImageNet's classes (ILSVRC 2012), in the order of the logits."""
    return tuple(asset_path(CLASSES_FILE).read_text(encoding="utf-8").splitlines())
