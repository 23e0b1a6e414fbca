"""The networks of keras.applications: how each is built, where it is cut, and what it wants to be given."""

from __future__ import annotations

import contextlib
import io
import random
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit._keras import keras

__all__ = [
    "APPLICATIONS",
    "PREPROCESSING",
    "build_application",
    "download_application",
    "mend_normalization",
    "preprocessing_of",
    "to_rgb_of_size",
]

# The ImageNet means that the original Caffe ResNet subtracts, in the order blue, green, red (He et al., 2015).
CAFFE_MEANS = (103.939, 116.779, 123.68)
# Mean and deviation of ImageNet's pixels in 0..1, red, green, blue: what PyTorch's networks are trained on.
IMAGENET_MEANS = (0.485, 0.456, 0.406)
IMAGENET_DEVIATIONS = (0.229, 0.224, 0.225)


def _caffe(x: Any) -> Any:
    x = keras.ops.flip(x, axis=-1)
    return keras.layers.Rescaling(1.0, offset=[-mean for mean in CAFFE_MEANS], name="subtract_means")(x)


def _minus_one_to_one(x: Any) -> Any:
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="to_minus_one_to_one")(x)


def _torch(x: Any) -> Any:
    pairs = list(zip(IMAGENET_MEANS, IMAGENET_DEVIATIONS, strict=True))
    scale, offset = [1 / (255 * deviation) for _, deviation in pairs], [-mean / deviation for mean, deviation in pairs]
    return keras.layers.Rescaling(scale, offset=offset, name="standardise")(x)


def _nothing(x: Any) -> Any:
    return x  # the network has its preprocessing inside


@dataclass(frozen=True)
class Preprocessing:
    """What preprocess_input of keras.applications does in one of its modes: as layers, and what comes out, in words."""

    prepare: Callable[[Any], Any]
    wanted: str


PREPROCESSING = {
    "caffe": Preprocessing(_caffe, "BGR with the ImageNet means subtracted (about -124..152)"),
    "tf": Preprocessing(_minus_one_to_one, "-1..1"),
    "torch": Preprocessing(_torch, "ImageNet's mean 0 and deviation 1 in each channel (about -2.2..2.7)"),
    "raw": Preprocessing(_nothing, "raw pixels in 0..255"),
}

# The documented mode of preprocess_input, by the beginning of a network's name. Longer names first, since resnet50
# begins resnet50v2.
_MODES = {
    "resnet50v2": "tf", "resnet101v2": "tf", "resnet152v2": "tf", "mobilenetv3": "raw", "mobilenet": "tf",
    "inception": "tf", "xception": "tf", "nasnet": "tf", "resnet": "caffe", "vgg": "caffe", "densenet": "torch",
    "efficientnet": "raw", "convnext": "raw",
}  # fmt: skip


def preprocessing_of(name: str) -> str | None:
    """The mode in ``PREPROCESSING`` that a network of keras.applications was trained with; ``None`` for any other."""
    plain = name.lower().replace("_", "").replace("-", "")
    if plain.startswith(("resnetprinted", "resnetfashion")):
        return None  # tlkit's own
    return next((mode for beginning, mode in _MODES.items() if plain.startswith(beginning)), None)


@dataclass(frozen=True)
class Application:
    """A network of keras.applications: the function that builds it, and where it is cut.

    The last stage ends at the output, whatever Keras calls that layer: in ConvNeXt the name is a running number.
    """

    builder: str
    inner_stage_ends: tuple[str, ...]


APPLICATIONS = {
    "resnet50": Application("ResNet50", ("pool1_pool", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out")),
    "resnet50v2": Application("ResNet50V2", ("pool1_pool", "conv2_block2_out", "conv3_block3_out", "conv4_block5_out")),
    "mobilenetv2": Application(
        "MobileNetV2", ("expanded_conv_project_BN", "block_2_add", "block_5_add", "block_12_add")
    ),
    "efficientnetb0": Application(
        "EfficientNetB0", ("block1a_project_bn", "block2b_add", "block3b_add", "block5c_add")
    ),
    "convnexttiny": Application("ConvNeXtTiny", tuple(f"convnext_tiny_downsampling_block_{i}" for i in range(3))),
    "densenet121": Application("DenseNet121", ("pool1", "pool2_pool", "pool3_pool", "pool4_pool")),
}


def to_rgb_of_size(image: Any, image_size: int | None) -> Any:
    """Images ``(n, h, w, 1 or 3)`` as ``(n, image_size, image_size, 3)``; ``None`` leaves their size as it is."""
    x = image
    if image_size is not None and tuple(x.shape[1:3]) != (image_size, image_size):
        x = keras.layers.Resizing(image_size, image_size, name="resize")(x)
    if x.shape[-1] == 1:
        x = keras.layers.Concatenate(name="grey_to_rgb")([x, x, x])
    return x


def build_application(
    name: str, input_shape: tuple[int, int, int], image_size: int, weights: str | None
) -> keras.Model:
    """The network without its top, from raw pixels of ``input_shape``; ``weights`` as in keras.applications."""
    image = keras.Input(input_shape, name="image")
    x = to_rgb_of_size(image, image_size)
    # What preprocess_input of keras.applications does, but inside the model and never in place.
    x = PREPROCESSING[str(preprocessing_of(name))].prepare(x)
    build = getattr(keras.applications, APPLICATIONS[name].builder)
    state = random.getstate()  # initialisers without a seed draw one from Python's own generator
    try:
        with warnings.catch_warnings():
            # MobileNetV2 says that the weights were trained on images of another size, which is no surprise here.
            warnings.filterwarnings("ignore", message="`input_shape` is undefined or non-square")
            model = build(include_top=False, weights=weights, input_tensor=x)
    finally:
        random.setstate(state)
    # keras.applications makes a model of a list of one input, which warns when it is called with the one.
    return keras.Model(model.inputs[0], model.outputs[0], name=name)


class _AfterTheFirstLine(io.TextIOBase):
    """Keeps Keras' "Downloading data from" back until more comes, which is when the server has answered."""

    def __init__(self, out: Any) -> None:
        self._out, self._held = out, ""

    def write(self, text: str) -> int:
        if text.startswith("Downloading data from") or (self._held and not text.strip()):
            self._held += text
        else:
            self._out.write(self._held + text)
            self._held = ""
        return len(text)

    def flush(self) -> None:
        self._out.flush()


def download_application(name: str, input_shape: tuple[int, int, int], image_size: int) -> keras.Model:
    """The network with its ImageNet weights, which Keras downloads once.

    Raises:
        ConnectionError: They are not on this machine, and could not be fetched.
    """
    try:
        with contextlib.redirect_stdout(_AfterTheFirstLine(sys.stdout)):
            return build_application(name, input_shape, image_size, "imagenet")
    except Exception as error:  # keras.utils.get_file raises a bare Exception when the network is absent
        raise ConnectionError(
            "ImageNet weights are downloaded once and could not be fetched: connect to a network, or give "
            "weights=PATH (a local .h5 file) or weights=None; 'efficientnet_lite0' needs no download."
        ) from error


def mend_normalization(model: keras.Model) -> None:
    """Square the variance that Keras' file of EfficientNet holds: there it is the deviation.

    Keras knows: with ``weights="imagenet"`` it adds a layer that divides by the root of the deviation once more, and
    leaves it out when the same file comes by its path.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            variance = layer.variance.numpy().ravel()
            if variance.shape == (3,) and np.allclose(variance, IMAGENET_DEVIATIONS, atol=1e-4):
                layer.adapt_variance.assign(layer.adapt_variance.numpy() ** 2)
                layer.finalize_state()
