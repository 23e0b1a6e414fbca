"""Backbones: pretrained base models and their stage boundaries.

A backbone takes raw pixels in 0..255; resizing, channels and rescaling live inside the model, so that no notebook can
forget or double them. It ends in the last feature map; the head comes from :mod:`tlkit.heads`.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlkit._tensorflow import keras
from tlkit.assets import asset_path
from tlkit.domains import nearest_name

__all__ = ["Backbone", "layers_up_to", "load_backbone", "small_resnet", "wrap_backbone"]

# With Keras' default of 0.99 the moving statistics need some 500 steps to forget their start; in short trainings
# inference accuracy then sits at chance.
BATCHNORM_MOMENTUM = 0.95

# A boundary must be a place where the graph narrows to one tensor: the end of a residual block, never its inside.
SMALL_RESNET_STAGE_ENDS = ("stem_out", "stage1_out", "stage2_out", "stage3_out", "stage4_out")
RESNET50_STAGE_ENDS = ("pool1_pool", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out")

# The ImageNet means that the original Caffe ResNet subtracts, in the order blue, green, red (He et al., 2015).
CAFFE_MEANS = (103.939, 116.779, 123.68)


@dataclass(frozen=True, eq=False)
class Backbone:
    """A base model that can be cut at the end of each stage.

    Args:
        name: A name for tables and errors.
        model: From raw pixels ``(n, h, w, c)`` in 0..255 to the last feature map.
        stage_ends: The name of the layer that ends each stage, from the input to the output. Stage 0 is the raw image.

    Raises:
        ValueError: ``stage_ends`` is empty, names an unknown layer, is out of order, holds a layer at which the model
            cannot be cut (the inside of a residual branch), or does not end at the model's output.
    """

    name: str
    model: keras.Model
    stage_ends: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "stage_ends", tuple(self.stage_ends))
        if isinstance(self.model, keras.Sequential) and self.model.built:
            graph = keras.Model(self.model.inputs[0], self.model.outputs[0], name=self.model.name)
            object.__setattr__(self, "model", graph)
        if not isinstance(self.model, keras.Model) or not hasattr(self.model, "operations"):
            raise ValueError(
                f"a backbone must be a functional or a built sequential Keras model (its graph is what is cut), got "
                f"{type(self.model).__name__}."
            )
        if len(self.model.inputs) != 1 or len(self.model.outputs) != 1:
            raise ValueError(
                f"a backbone must have one input and one output, got {len(self.model.inputs)} and "
                f"{len(self.model.outputs)}."
            )
        if not self.stage_ends:
            raise ValueError("stage_ends must name at least one layer, got none.")
        outputs = _outputs_by_name(self.model)
        for stage_end in self.stage_ends:
            if stage_end not in outputs:
                raise ValueError(
                    f"a stage end must be a layer of the model: {_nearest_layer(stage_end, list(outputs))}"
                )
        previous: set[str] = set()
        for stage_end in self.stage_ends:
            if not _is_boundary(self.model, outputs[stage_end]):
                raise ValueError(
                    f"a stage must end where the graph narrows to one tensor, got {stage_end!r}, which lies beside "
                    "another path (inside a residual branch)."
                )
            before = {_operation(tensor).name for tensor in _walk_back(outputs[stage_end])}
            if not previous < before:
                raise ValueError(f"stage_ends must go from the input to the output, got {', '.join(self.stage_ends)}.")
            previous = before
        if outputs[self.stage_ends[-1]] is not self.model.output:
            raise ValueError(
                f"the last stage must end at the model's output ({_operation(self.model.output).name!r}), got "
                f"{self.stage_ends[-1]!r}."
            )

    @property
    def n_stages(self) -> int:
        """The number of stages; freezing all of them is pure feature extraction."""
        return len(self.stage_ends)

    def check_stage(self, stage: int) -> None:
        """Raise ``ValueError`` unless ``stage`` is in 0..n_stages."""
        if isinstance(stage, bool) or not isinstance(stage, (int, np.integer)) or not 0 <= stage <= self.n_stages:
            raise ValueError(
                f"stage must be in 0..{self.n_stages} (0 trains everything, {self.n_stages} freezes everything), "
                f"got {stage!r}."
            )

    def boundary(self, stage: int) -> Any:
        """The symbolic tensor at the end of ``stage``; for stage 0 the model's input."""
        self.check_stage(stage)
        return self.model.input if stage == 0 else _outputs_by_name(self.model)[self.stage_ends[stage - 1]]


def _nearest_layer(given: str, layer_names: Sequence[str]) -> str:
    # A model may have hundreds of layers: name the close ones only.
    close = difflib.get_close_matches(given, layer_names, n=3, cutoff=0.4) or list(layer_names[:3])
    return f"{', '.join(map(repr, close))} or another of {len(layer_names)}, got {given!r}."


def _operation(tensor: Any) -> Any:
    """The layer or operation that made a symbolic tensor."""
    return tensor._keras_history.operation


def _walk_back(tensor: Any, *, without: Any = None) -> Iterator[Any]:
    """The symbolic tensors that ``tensor`` is computed from, itself included; a path ends where it meets ``without``.

    The walk starts from a tensor of the model and not from ``layer.output``, which is the layer's first use and may
    belong to another model.
    """
    seen: set[int] = set()
    stack = [tensor]
    while stack:
        tensor = stack.pop()
        if tensor is without or id(tensor) in seen:
            continue
        seen.add(id(tensor))
        yield tensor
        history = tensor._keras_history
        stack.extend(history.operation._inbound_nodes[history.node_index].input_tensors)


def _outputs_by_name(model: keras.Model) -> dict[str, Any]:
    """The symbolic output of each layer and operation of the model's graph."""
    return {_operation(tensor).name: tensor for tensor in _walk_back(model.output)}


def _is_boundary(model: keras.Model, tensor: Any) -> bool:
    """Whether every path from the model's input to its output passes through ``tensor``."""
    return all(before is not model.input for before in _walk_back(model.output, without=tensor))


def layers_up_to(backbone: Backbone, stage: int) -> list[keras.layers.Layer]:
    """The layers of stages 1 to ``stage``, from input to output; none for stage 0.

    Raises:
        ValueError: ``stage`` is out of range.
    """
    boundary = backbone.boundary(stage)
    if stage == 0:
        return []
    before = {id(_operation(tensor)) for tensor in _walk_back(boundary)}
    return [layer for layer in backbone.model.layers if id(layer) in before]


def small_resnet(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    widths: tuple[int, ...] = (32, 64, 128, 256),
    *,
    seed: int = 0,
    name: str = "small_resnet",
) -> keras.Model:
    """A ResNet for small images: a stem, then one residual block a stage (He et al., 2015, arXiv:1512.03385).

    Args:
        input_shape: Height, width and channels of the raw images.
        widths: Channels of each stage; every stage but the first halves height and width.
        seed: Makes the He-normal start weights; it does not touch Keras' global seed.

    Returns:
        A model from ``(n, h, w, c)`` pixels in 0..255 to ``(n, h', w', widths[-1])``.
    """
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
    x = keras.layers.ReLU(name="stem_out")(conv_bn(x, widths[0], 3, 1, "stem"))
    for i, width in enumerate(widths, start=1):
        strides = 1 if i == 1 else 2
        y = keras.layers.ReLU(name=f"stage{i}_a_relu")(conv_bn(x, width, 3, strides, f"stage{i}_a"))
        y = conv_bn(y, width, 3, 1, f"stage{i}_b")
        if strides != 1 or x.shape[-1] != width:  # the shortcut must have the shape of what it is added to
            x = conv_bn(x, width, 1, strides, f"stage{i}_shortcut")
        x = keras.layers.Add(name=f"stage{i}_add")([x, y])
        x = keras.layers.ReLU(name=f"stage{i}_out")(x)
    return keras.Model(image, x, name=name)


def _seeded_start(model: keras.Model, seed: int) -> None:
    """New Glorot-uniform kernels from ``seed`` alone, so that Keras' global seed is neither read nor moved."""
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    for layer, state in zip(convolutions, np.random.SeedSequence(seed).generate_state(len(convolutions)), strict=True):
        layer.kernel.assign(keras.initializers.GlorotUniform(seed=int(state))(layer.kernel.shape))


def _load_weights(model: keras.Model, path: Path, name: str) -> None:
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
    """The number of weight arrays in a Keras HDF5 file, an optimizer's left out."""
    import h5py

    names: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return sum(not name.startswith("optimizer") for name in names)


def _resnet50(input_shape: tuple[int, int, int], image_size: int, weights: str | None) -> keras.Model:
    height, width, channels = input_shape
    image = keras.Input(input_shape, name="image")
    x: Any = image
    if (height, width) != (image_size, image_size):
        x = keras.layers.Resizing(image_size, image_size, name="resize")(x)
    if channels == 1:
        x = keras.layers.Concatenate(name="grey_to_rgb")([x, x, x])
    # What keras.applications.resnet.preprocess_input does, but inside the model and never in place.
    x = keras.ops.flip(x, axis=-1)
    x = keras.layers.Rescaling(1.0, offset=[-mean for mean in CAFFE_MEANS], name="subtract_means")(x)
    state = random.getstate()  # initialisers without a seed draw one from Python's own generator
    try:
        return keras.applications.ResNet50(include_top=False, weights=weights, input_tensor=x, name="resnet50")
    finally:
        random.setstate(state)


def _load_resnet50(
    input_shape: tuple[int, int, int] | None, image_size: int, weights: str | Path | None, seed: int
) -> Backbone:
    shape = input_shape or (image_size, image_size, 3)
    if weights == "imagenet":
        try:
            model = _resnet50(shape, image_size, "imagenet")
        except Exception as error:  # keras.utils.get_file raises a bare Exception when the network is absent
            raise ConnectionError(
                "ImageNet weights are downloaded once and could not be fetched: connect to a network, or give "
                "weights=PATH (a local .h5 file) or weights=None; 'resnet_printed' needs no download."
            ) from error
    else:
        model = _resnet50(shape, image_size, None)
        _seeded_start(model, seed)
        if weights is not None:
            _load_weights(model, Path(weights), "resnet50")
    return Backbone("resnet50", model, RESNET50_STAGE_ENDS)


def _load_small_resnet(
    name: str, input_shape: tuple[int, int, int] | None, image_size: int, weights: str | Path | None, seed: int
) -> Backbone:
    model = small_resnet((image_size, image_size, 1), seed=seed, name=name)
    if weights in ("printed", "fashion"):
        weights = asset_path(f"resnet_{weights}.weights.h5")
    if weights is not None:
        _load_weights(model, Path(weights), name)
    if input_shape not in (None, model.input_shape[1:]):
        model = _with_adapter(model, input_shape)
    # Random weights have another name, so that no one reads them with the bundled source head.
    return Backbone(name if weights is not None else f"{name}_random", model, SMALL_RESNET_STAGE_ENDS)


def _with_adapter(model: keras.Model, input_shape: tuple[int, int, int]) -> keras.Model:
    """The same layers behind new ones that bring ``input_shape`` to the shape and channels that ``model`` wants."""
    height, width, channels = model.input_shape[1:]
    image = keras.Input(input_shape, name="raw_image")
    x: Any = image
    if channels == 1 and input_shape[-1] == 3:
        x = keras.ops.image.rgb_to_grayscale(x)
    if input_shape[:2] != (height, width):
        x = keras.layers.Resizing(height, width, name="resize")(x)
    # Calling each layer on the new graph keeps it flat, so that the stages stay visible and can be cut.
    replaced: dict[int, Any] = {id(model.input): x}
    for layer in model.layers[1:]:
        node = layer._inbound_nodes[0]
        arguments = [replaced[id(tensor)] for tensor in node.input_tensors]
        replaced[id(layer.output)] = layer(arguments if len(arguments) > 1 else arguments[0])
    return keras.Model(image, replaced[id(model.output)], name=model.name)


_WEIGHTS_BY_NAME = {"resnet_printed": "printed", "resnet_fashion": "fashion", "resnet50": "imagenet"}
_NATIVE_SIZE = {"resnet_printed": 28, "resnet_fashion": 28, "resnet50": 224}


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
    ``"resnet_fashion"``: the same, pretrained on the bundled clothes: an example of negative transfer on digits.
    ``"resnet50"``: He et al., 2015 (arXiv:1512.03385) from keras.applications; its ImageNet weights need a download.

    Args:
        image_size: The side, in pixels, of the square images that the network itself sees; 28 or 224 by default.
        input_shape: ``(h, w, c)`` of the images you have, when it differs from that: the model then resizes them and
            turns grey into RGB or RGB into grey. ``c`` is 1 or 3.
        weights: ``"pretrained"`` (or ``"printed"``, ``"fashion"``, ``"imagenet"``), the path of a ``.weights.h5`` or
            ``.h5`` file for the same architecture, or ``None`` for random weights made from ``seed``; a bundled
            network is then called ``NAME_random``, and has no source head.
        seed: Makes the random weights; read only with ``weights=None``.

    Raises:
        ValueError: An unknown name, a weights file that is absent or fits another architecture, a bad size or shape.
        ConnectionError: ImageNet weights were asked for, are not on this machine, and cannot be downloaded.
        tlkit.assets.AssetError: A bundled weights file is missing or altered.
    """
    if name not in _WEIGHTS_BY_NAME:
        raise ValueError(f"backbone must be {nearest_name(name, _WEIGHTS_BY_NAME)}")
    size = _NATIVE_SIZE[name] if image_size is None else image_size
    if isinstance(size, bool) or not isinstance(size, int) or size < (32 if name == "resnet50" else 8):
        raise ValueError(f"image_size must be {32 if name == 'resnet50' else 8} pixels or more, got {image_size!r}.")
    if input_shape is not None and (len(input_shape) != 3 or min(input_shape) < 1 or input_shape[-1] not in (1, 3)):
        raise ValueError(f"input_shape must be (height, width, channels) with 1 or 3 channels, got {input_shape}.")
    known = _WEIGHTS_BY_NAME[name]
    if weights == "pretrained":
        weights = known
    elif isinstance(weights, str) and weights != known and not _looks_like_a_path(weights):
        raise ValueError(f"weights of {name!r} must be a path, None or {nearest_name(weights, (known, 'pretrained'))}")
    if name == "resnet50":
        return _load_resnet50(input_shape, size, weights, seed)
    return _load_small_resnet(name, input_shape, size, weights, seed)


def _looks_like_a_path(text: str) -> bool:
    return "/" in text or "\\" in text or text.endswith((".h5", ".keras")) or Path(text).exists()


def wrap_backbone(keras_model: keras.Model, stage_ends: Sequence[str], name: str) -> Backbone:
    """Any functional Keras model as a backbone, such as one of keras.applications or KerasHub.

    The model should take raw pixels and end in its last feature map. ``stage_ends`` are the names of the layers at
    which it may be cut, from input to output, the last one being the model's output layer.

    Raises:
        ValueError: See :class:`Backbone`.
    """
    return Backbone(name, keras_model, tuple(stage_ends))
