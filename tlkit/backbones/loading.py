"""Backbones by name: the bundled networks, and those of keras.applications."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tlkit._keras import keras
from tlkit.assets import asset_path
from tlkit.backbones.applications import APPLICATIONS, build_application, download_application, mend_normalization
from tlkit.backbones.backbone import Backbone
from tlkit.backbones.efficientnet_lite import (
    EFFICIENTNET_LITE0_STAGE_ENDS,
    efficientnet_lite0,
    load_efficientnet_lite0,
)
from tlkit.backbones.graph import check_channels_last, maker
from tlkit.backbones.weights import draw_weights, load_weights
from tlkit.domains import check_seed
from tlkit.files.paths import check_path
from tlkit.words import nearest_name

__all__ = ["load_backbone", "small_resnet"]

# With Keras' default of 0.99 the moving statistics need some 500 steps to forget their start; in short trainings
# inference accuracy then sits at chance.
BATCHNORM_MOMENTUM = 0.95

# A boundary must be a place where the graph narrows to one tensor: the end of a residual block, never its inside.
SMALL_RESNET_STAGE_ENDS = tuple(f"stage{number}_out" for number in range(1, 6))


# Of resnet_voices: log-mel pictures (tlkit.speech), and fewer weights, as there are fewer examples.
VOICES_SIZE, VOICES_WIDTHS = 40, (12, 24, 48, 96)


def small_resnet(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    widths: tuple[int, ...] = (32, 64, 128, 256),
    *,
    seed: int = 0,
    name: str = "small_resnet",
) -> keras.Model:
    """A ResNet for small images: a convolution, then one residual block per stage (He et al., 2015, arXiv:1512.03385).

    Layers are named by their stage: ``stage1_conv`` is the first convolution, ``stage2_a_conv`` begins the first block.

    Args:
        input_shape: Height, width and channels of the raw images.
        widths: Channels of each block; the first convolution has those of the first block. Every block but the first
            halves height and width.
        seed: Makes the He-normal start weights; it does not touch Keras' global seed.

    Returns:
        A model from ``(n, h, w, c)`` pixels in 0..255 to ``(n, h', w', widths[-1])``.

    Raises:
        ValueError: ``seed`` is out of range.
    """
    check_seed(seed)
    seeds = np.random.SeedSequence(seed).generate_state(3 * len(widths) + 1).tolist()

    def conv_bn(x: Any, width: int, kernel: int, strides: int, part: str) -> Any:
        x = keras.layers.Conv2D(
            width,
            kernel,
            strides=strides,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.HeNormal(seed=seeds.pop()),
            name=f"{part}_conv",
        )(x)
        return keras.layers.BatchNormalization(momentum=BATCHNORM_MOMENTUM, name=f"{part}_bn")(x)

    image = keras.Input(input_shape, name="image")
    x = keras.layers.Rescaling(1 / 255, name="rescale")(image)
    x = keras.layers.ReLU(name="stage1_out")(conv_bn(x, widths[0], 3, 1, "stage1"))
    for i, width in enumerate(widths, start=2):
        strides = 1 if i == 2 else 2
        y = keras.layers.ReLU(name=f"stage{i}_a_relu")(conv_bn(x, width, 3, strides, f"stage{i}_a"))
        y = conv_bn(y, width, 3, 1, f"stage{i}_b")
        if strides != 1 or x.shape[-1] != width:  # the shortcut must have the shape of what it is added to
            x = conv_bn(x, width, 1, strides, f"stage{i}_shortcut")
        x = keras.layers.Add(name=f"stage{i}_add")([x, y])
        x = keras.layers.ReLU(name=f"stage{i}_out")(x)
    return keras.Model(image, x, name=name)


def _load_application(
    name: str, input_shape: tuple[int, int, int] | None, image_size: int, weights: str | Path | None, seed: int
) -> Backbone:
    shape = input_shape or (image_size, image_size, 3)
    if weights == "imagenet":
        model = download_application(name, shape, image_size)
    else:
        model = build_application(name, shape, image_size, None)
        draw_weights(model, seed)
        if weights is not None:
            load_weights(model, Path(weights), name)
            mend_normalization(model)
    return Backbone(name, model, (*APPLICATIONS[name].inner_stage_ends, maker(model.output).name))


def _load_small_resnet(
    name: str, input_shape: tuple[int, int, int] | None, image_size: int, weights: str | Path | None, seed: int
) -> Backbone:
    widths = {"widths": VOICES_WIDTHS} if name == _RESNET_VOICES else {}
    model = small_resnet((image_size, image_size, 1), **widths, seed=seed, name=name)
    if weights in ("printed", "printed_ssl", "fashion", "voices"):
        weights = asset_path(f"resnet_{weights}.weights.h5")
    if weights is not None:
        load_weights(model, Path(weights), name)
    if input_shape not in (None, model.input_shape[1:]):
        model = _with_adapter(model, input_shape)
    # Random weights have another name, so that no one reads them with the bundled source head.
    return Backbone(name if weights is not None else f"{name}_random", model, SMALL_RESNET_STAGE_ENDS)


def _load_efficientnet_lite0(
    input_shape: tuple[int, int, int] | None, image_size: int, weights: str | Path | None, seed: int
) -> Backbone:
    shape = input_shape or (image_size, image_size, 3)
    if weights == "imagenet":
        model = load_efficientnet_lite0(shape, image_size)
    else:
        model = efficientnet_lite0(shape, image_size, seed=seed)
        if weights is not None:
            load_weights(model, Path(weights), _EFFICIENTNET_LITE0)
    name = _EFFICIENTNET_LITE0 if weights is not None else f"{_EFFICIENTNET_LITE0}_random"
    return Backbone(name, model, EFFICIENTNET_LITE0_STAGE_ENDS)


def _with_adapter(model: keras.Model, input_shape: tuple[int, int, int]) -> keras.Model:
    """The same layers behind new ones that bring ``input_shape`` to the shape and channels that ``model`` wants."""
    height, width, channels = model.input_shape[1:]
    image = keras.Input(input_shape, name="raw_image")
    x: Any = image
    if channels == 1 and input_shape[-1] == 3:
        x = keras.ops.image.rgb_to_grayscale(x)
    if input_shape[:2] != (height, width):
        x = keras.layers.Resizing(height, width, name="resize")(x)
    # Each layer is called on the new graph, which stays flat: the stages stay visible and can be cut.
    layers = keras.Function(model.inputs, model.outputs, name=model.name)
    return keras.Model(image, layers.call([x])[0], name=model.name)


_EFFICIENTNET_LITE0 = "efficientnet_lite0"
_RESNET_VOICES = "resnet_voices"
_WEIGHTS_BY_NAME = {
    "resnet_printed": "printed",
    "resnet_printed_ssl": "printed_ssl",
    "resnet_fashion": "fashion",
    _RESNET_VOICES: "voices",
    _EFFICIENTNET_LITE0: "imagenet",
    **dict.fromkeys(APPLICATIONS, "imagenet"),
}


def load_backbone(
    name: str,
    *,
    image_size: int | None = None,
    input_shape: tuple[int, int, int] | None = None,
    weights: str | Path | None = "pretrained",
    seed: int = 0,
) -> Backbone:
    """A backbone by name, with pretrained, your own, or random weights.

    ``"resnet_printed"``: a ResNet of four one-block stages, 1.2 M weights, pretrained on the bundled printed domain.
    ``"resnet_printed_ssl"``: the same, pretrained on the same glyphs without their labels (SimCLR; Chen et al., 2020,
    arXiv:2002.05709), so it has no source head.
    ``"resnet_fashion"``: the same, pretrained on the bundled clothes: an example of negative transfer on digits.
    ``"resnet_voices"``: a narrower one, 0.17 M weights, pretrained on the digits that synthetic voices say, for log-mel
    pictures of 40 by 40 (:func:`tlkit.sound_picture`).
    ``"efficientnet_lite0"``: EfficientNet-Lite0 (Tan & Le, 2019, arXiv:1905.11946; Google's weights for ImageNet, top-1
    75.1 % as published), 3.4 M weights, for photographs. Seven stages, one for each width of its blocks.
    From keras.applications, with ImageNet weights that need a download: ``"resnet50"`` (He et al., 2015,
    arXiv:1512.03385), ``"resnet50v2"`` (He et al., 2016, arXiv:1603.05027), ``"mobilenetv2"`` (Sandler et al., 2018,
    arXiv:1801.04381), ``"efficientnetb0"`` (Tan & Le, 2019, arXiv:1905.11946), ``"convnexttiny"`` (Liu et al., 2022,
    arXiv:2201.03545) and ``"densenet121"`` (Huang et al., 2016, arXiv:1608.06993). What preprocess_input does is inside
    the model: all of them take raw pixels.

    EfficientNetB0 drops whole branches while training, also in frozen stages of a whole model; cached features are
    those of inference, where nothing is dropped.

    Args:
        image_size: The side, in pixels, of the square images that the network itself sees. The small ResNets: 28 by
            default (``resnet_voices``: 40), 8 at least. Networks that know ImageNet: 224, the size of their training,
            by default; 32 at least. The weights are the same at any size, and 160 pixels take half as many
            multiply-adds as 224.
        input_shape: ``(h, w, c)`` of the images you have, when it differs from that: the model then resizes them and
            turns grey into RGB or RGB into grey. ``c`` is 1 or 3.
        weights: ``"pretrained"`` (or ``"printed"``, ``"printed_ssl"``, ``"fashion"``, ``"voices"``, ``"imagenet"``),
            the path of a ``.weights.h5`` or ``.h5`` file for the same architecture, or ``None`` for random weights made
            from ``seed``; a bundled network is then called ``NAME_random``, and has no source head.
        seed: Makes the random weights; read only with ``weights=None``.

    Raises:
        ValueError: An unknown name, a weights file that is absent or fits another architecture, a bad size or shape, or
            Keras is set to ``channels_first``.
        ConnectionError: ImageNet weights were asked for, are not on this machine, and cannot be downloaded.
        tlkit.assets.AssetError: A bundled weights file is missing or altered.
    """
    if name not in _WEIGHTS_BY_NAME:
        raise ValueError(f"backbone must be {nearest_name(name, _WEIGHTS_BY_NAME)}")
    check_seed(seed)
    check_channels_last()
    native, smallest = (28, 8) if name.startswith("resnet_") else (224, 32)
    native = VOICES_SIZE if name == _RESNET_VOICES else native
    size = native if image_size is None else image_size
    if isinstance(size, bool) or not isinstance(size, int) or size < smallest:
        raise ValueError(f"image_size must be {smallest} pixels or more, got {image_size!r}.")
    if input_shape is not None and (len(input_shape) != 3 or min(input_shape) < 1 or input_shape[-1] not in (1, 3)):
        raise ValueError(f"input_shape must be (height, width, channels) with 1 or 3 channels, got {input_shape}.")
    known = _WEIGHTS_BY_NAME[name]
    if weights is not None:
        check_path("weights", weights, "a weights file")
    if weights == "pretrained":
        weights = known
    elif isinstance(weights, str) and weights != known and not _looks_like_a_path(weights):
        raise ValueError(f"weights of {name!r} must be a path, None or {nearest_name(weights, (known, 'pretrained'))}")
    if name in APPLICATIONS:
        return _load_application(name, input_shape, size, weights, seed)
    if name == _EFFICIENTNET_LITE0:
        return _load_efficientnet_lite0(input_shape, size, weights, seed)
    return _load_small_resnet(name, input_shape, size, weights, seed)


def _looks_like_a_path(text: str) -> bool:
    return "/" in text or "\\" in text or text.endswith((".h5", ".keras")) or Path(text).exists()
