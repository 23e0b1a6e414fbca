"""Backbones: pretrained base models and their stage boundaries.

A backbone takes raw pixels in 0..255; resizing, channels and rescaling live inside the model, so that no notebook can
forget or double them. It ends in the last feature map; the head comes from :mod:`tlkit.heads`. A backbone for texts
takes token ids and ends in a vector a text; those come from :mod:`tlkit.text`.
"""

from __future__ import annotations

import contextlib
import difflib
import graphlib
import io
import random
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlkit._tensorflow import keras
from tlkit.assets import asset_path
from tlkit.words import nearest_name, one_line

__all__ = ["Backbone", "find_boundaries", "layers_up_to", "load_backbone", "small_resnet", "wrap_backbone"]

# With Keras' default of 0.99 the moving statistics need some 500 steps to forget their start; in short trainings
# inference accuracy then sits at chance.
BATCHNORM_MOMENTUM = 0.95

# A boundary must be a place where the graph narrows to one tensor: the end of a residual block, never its inside.
SMALL_RESNET_STAGE_ENDS = ("stem_out", "stage1_out", "stage2_out", "stage3_out", "stage4_out")

# The ImageNet means that the original Caffe ResNet subtracts, in the order blue, green, red (He et al., 2015).
CAFFE_MEANS = (103.939, 116.779, 123.68)
# Mean and deviation of ImageNet's pixels in 0..1, red, green, blue: what PyTorch's networks are trained on.
IMAGENET_MEANS = (0.485, 0.456, 0.406)
IMAGENET_DEVIATIONS = (0.229, 0.224, 0.225)


@dataclass(frozen=True, eq=False)
class Backbone:
    """A base model that can be cut at the end of each stage.

    Args:
        name: A name for tables and errors.
        model: From raw pixels ``(n, h, w, c)`` in 0..255 to the last feature map ``(n, h', w', c')``; or from token ids
            ``(n, length)``, 0 being padding, to vectors ``(n, c)``. Between two stages texts are vectors of tokens
            ``(n, length, width)``, and those of padding are zero, so that they are told from tokens after a cut.
        stage_ends: The name of the layer that ends each stage, from the input to the output. Stage 0 is the raw image,
            or the ids.
        added: The names of layers that :mod:`tlkit.efficient` put beside the pretrained ones. Where there are any, they
            alone learn: :func:`tlkit.freezing.freeze_to` leaves all others frozen, at every stage.

    Raises:
        ValueError: ``stage_ends`` is empty, names an unknown layer, is out of order, holds a layer at which the model
            cannot be cut (the inside of a residual branch), or does not end at the model's output; or ``added`` names
            an unknown layer.
    """

    name: str
    model: keras.Model
    stage_ends: tuple[str, ...]
    added: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "stage_ends", tuple(self.stage_ends))
        object.__setattr__(self, "model", _as_graph(self.model))
        if not self.stage_ends:
            raise ValueError("stage_ends must name at least one layer, got none.")
        outputs = _outputs_by_name(self.model)
        for stage_end in self.stage_ends:
            if stage_end not in outputs:
                raise ValueError(
                    f"a stage end must be a layer of the model: {_nearest_layer(stage_end, list(outputs))}"
                )
            if len(outputs[stage_end]) > 1:
                raise ValueError(
                    f"a stage must end at a layer that the model uses once, got {stage_end!r}, which it uses "
                    f"{len(outputs[stage_end])} times."
                )
        places = {id(segment[-1]): place for place, segment in enumerate(_segments(self.model))}
        previous = -1
        for stage_end in self.stage_ends:
            place = places.get(id(outputs[stage_end][0]))
            if place is None:
                raise ValueError(
                    f"a stage must end where the graph narrows to one tensor, got {stage_end!r}, which lies beside "
                    "another path (inside a residual branch)."
                )
            if place <= previous:
                raise ValueError(f"stage_ends must go from the input to the output, got {', '.join(self.stage_ends)}.")
            previous = place
        if outputs[self.stage_ends[-1]][0] is not self.model.output:
            raise ValueError(
                f"the last stage must end at the model's output ({_operation(self.model.output).name!r}), got "
                f"{self.stage_ends[-1]!r}."
            )
        object.__setattr__(self, "added", tuple(self.added))
        for name in self.added:
            if name not in outputs:
                raise ValueError(f"an added layer must be one of the model: {_nearest_layer(name, list(outputs))}")

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
        return self.model.input if stage == 0 else _outputs_by_name(self.model)[self.stage_ends[stage - 1]][0]


def _nearest_layer(given: str, layer_names: Sequence[str]) -> str:
    # A model may have hundreds of layers: name the close ones only.
    close = difflib.get_close_matches(given, layer_names, n=3, cutoff=0.4) or list(layer_names[:3])
    return f"{', '.join(map(repr, close))} or another of {len(layer_names)}, got {given!r}."


def _operation(tensor: Any) -> Any:
    """The layer or operation that made a symbolic tensor."""
    return tensor._keras_history.operation


def _made_from(tensor: Any) -> list[Any]:
    """The symbolic tensors that the layer or operation behind ``tensor`` took; none for the model's input."""
    history = tensor._keras_history
    return list(history.operation._inbound_nodes[history.node_index].input_tensors)


def _walk_back(tensor: Any) -> Iterator[Any]:
    """The symbolic tensors that ``tensor`` is computed from, itself included.

    The walk starts from a tensor of the model and not from ``layer.output``, which is the layer's first use and may
    belong to another model.
    """
    seen: set[int] = set()
    stack = [tensor]
    while stack:
        tensor = stack.pop()
        if id(tensor) not in seen:
            seen.add(id(tensor))
            yield tensor
            stack.extend(_made_from(tensor))


def _outputs_by_name(model: keras.Model) -> dict[str, list[Any]]:
    """The symbolic outputs of each layer and operation of the model's graph: one, unless it is used several times."""
    found: dict[str, list[Any]] = {}
    for tensor in _walk_back(model.output):
        found.setdefault(_operation(tensor).name, []).append(tensor)
    return found


def _as_graph(model: Any) -> keras.Model:
    """The functional model from one tensor to one tensor, or a ``ValueError`` that says what is wrong with it."""
    if isinstance(model, keras.Sequential) and model.built:
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        raise ValueError(
            f"a backbone must be a functional or a built sequential Keras model (its graph is what is cut), got "
            f"{type(model).__name__}."
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"a backbone must have one input and one output, got {len(model.inputs)} and {len(model.outputs)}."
        )
    if model.input is not model.inputs[0] or model.output is not model.outputs[0]:
        # A list or a dictionary of one: calling it with the tensor itself would warn, and boundaries are tensors.
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return model


def _segments(model: keras.Model) -> list[list[Any]]:
    """All tensors of the graph from input to output, cut after each one at which it narrows to one tensor.

    Each segment ends in such a tensor; the first is the input alone. In a topological order every tensor lies on a path
    from the input to the output, so one is passed by exactly when some tensor before it is used by one after it: it is
    enough to keep the furthest use seen so far, and the time is linear in the size of the graph.
    """
    tensors = {id(tensor): tensor for tensor in _walk_back(model.output)}
    uses = {key: [id(before) for before in _made_from(tensor)] for key, tensor in tensors.items()}
    order = list(graphlib.TopologicalSorter(uses).static_order())
    place = {key: i for i, key in enumerate(order)}
    furthest = list(range(len(order)))
    for key, befores in uses.items():
        for before in befores:
            furthest[place[before]] = max(furthest[place[before]], place[key])
    segments: list[list[Any]] = [[]]
    reach = 0
    for i, key in enumerate(order):
        segments[-1].append(tensors[key])
        if reach <= i:
            segments.append([])
        reach = max(reach, furthest[i])
    return segments[:-1]


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
    """New start weights from ``seed`` alone, so that Keras' global seed is neither read nor moved; dropout likewise."""
    layers = list(model._flatten_layers(include_self=False, recursive=True))
    weighted = [layer for layer in layers if hasattr(layer, "kernel")]
    for layer, state in zip(weighted, np.random.SeedSequence(seed).generate_state(len(weighted)), strict=True):
        own = getattr(layer, "depthwise_initializer", None) or layer.kernel_initializer
        start = type(own).from_config({**own.get_config(), "seed": int(state)})
        layer.kernel.assign(start(layer.kernel.shape))
    generators = [layer.seed_generator for layer in layers if hasattr(layer, "seed_generator")]
    for number, generator in enumerate(generators):
        state = np.random.SeedSequence([seed, number]).generate_state(2)
        generator.state.assign(state.astype(generator.state.dtype))


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
    """The number of weight arrays in a Keras HDF5 file, those of an optimizer and of dropout's seeds left out."""
    import h5py

    names: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return sum(not name.startswith("optimizer") and "seed_generator" not in name for name in names)


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
class _Application:
    """A network of keras.applications: what its preprocess_input does, as layers, and where it is cut.

    The last stage ends at the output, whatever Keras calls that layer: in ConvNeXt the name is a running number.
    """

    builder: str
    prepare: Callable[[Any], Any]
    inner_stage_ends: tuple[str, ...]


_APPLICATIONS = {
    "resnet50": _Application(
        "ResNet50", _caffe, ("pool1_pool", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out")
    ),
    "resnet50v2": _Application(
        "ResNet50V2", _minus_one_to_one, ("pool1_pool", "conv2_block2_out", "conv3_block3_out", "conv4_block5_out")
    ),
    "mobilenetv2": _Application(
        "MobileNetV2",
        _minus_one_to_one,
        ("expanded_conv_project_BN", "block_2_add", "block_5_add", "block_12_add"),
    ),
    "efficientnetb0": _Application(
        "EfficientNetB0", _nothing, ("block1a_project_bn", "block2b_add", "block3b_add", "block5c_add")
    ),
    "convnexttiny": _Application(
        "ConvNeXtTiny", _nothing, tuple(f"convnext_tiny_downsampling_block_{i}" for i in range(3))
    ),
    "densenet121": _Application("DenseNet121", _torch, ("pool1", "pool2_pool", "pool3_pool", "pool4_pool")),
}


def _build_application(
    name: str, input_shape: tuple[int, int, int], image_size: int, weights: str | None
) -> keras.Model:
    height, width, channels = input_shape
    image = keras.Input(input_shape, name="image")
    x: Any = image
    if (height, width) != (image_size, image_size):
        x = keras.layers.Resizing(image_size, image_size, name="resize")(x)
    if channels == 1:
        x = keras.layers.Concatenate(name="grey_to_rgb")([x, x, x])
    # What preprocess_input of keras.applications does, but inside the model and never in place.
    x = _APPLICATIONS[name].prepare(x)
    build = getattr(keras.applications, _APPLICATIONS[name].builder)
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


def _load_application(
    name: str, input_shape: tuple[int, int, int] | None, image_size: int, weights: str | Path | None, seed: int
) -> Backbone:
    shape = input_shape or (image_size, image_size, 3)
    if weights == "imagenet":
        try:
            with contextlib.redirect_stdout(_AfterTheFirstLine(sys.stdout)):
                model = _build_application(name, shape, image_size, "imagenet")
        except Exception as error:  # keras.utils.get_file raises a bare Exception when the network is absent
            raise ConnectionError(
                "ImageNet weights are downloaded once and could not be fetched: connect to a network, or give "
                "weights=PATH (a local .h5 file) or weights=None; 'resnet_printed' needs no download."
            ) from error
    else:
        model = _build_application(name, shape, image_size, None)
        _seeded_start(model, seed)
        if weights is not None:
            _load_weights(model, Path(weights), name)
            _mend_normalization(model)
    return Backbone(name, model, (*_APPLICATIONS[name].inner_stage_ends, _operation(model.output).name))


def _mend_normalization(model: keras.Model) -> None:
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
    return keras.Model(image, _run_again(model, x, ()), name=model.name)


_WEIGHTS_BY_NAME = {
    "resnet_printed": "printed",
    "resnet_fashion": "fashion",
    **dict.fromkeys(_APPLICATIONS, "imagenet"),
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
    ``"resnet_fashion"``: the same, pretrained on the bundled clothes: an example of negative transfer on digits.
    From keras.applications, with ImageNet weights that need a download: ``"resnet50"`` (He et al., 2015,
    arXiv:1512.03385), ``"resnet50v2"`` (He et al., 2016, arXiv:1603.05027), ``"mobilenetv2"`` (Sandler et al., 2018,
    arXiv:1801.04381), ``"efficientnetb0"`` (Tan & Le, 2019, arXiv:1905.11946), ``"convnexttiny"`` (Liu et al., 2022,
    arXiv:2201.03545) and ``"densenet121"`` (Huang et al., 2016, arXiv:1608.06993). What preprocess_input does is inside
    the model: all of them take raw pixels.

    EfficientNet drops whole branches while training, also in frozen stages of a whole model; cached features are those
    of inference, where nothing is dropped.

    Args:
        image_size: The side, in pixels, of the square images that the network itself sees; 28 or 224 by default, 8 or
            32 at least.
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
    native, smallest = (224, 32) if name in _APPLICATIONS else (28, 8)
    size = native if image_size is None else image_size
    if isinstance(size, bool) or not isinstance(size, int) or size < smallest:
        raise ValueError(f"image_size must be {smallest} pixels or more, got {image_size!r}.")
    if input_shape is not None and (len(input_shape) != 3 or min(input_shape) < 1 or input_shape[-1] not in (1, 3)):
        raise ValueError(f"input_shape must be (height, width, channels) with 1 or 3 channels, got {input_shape}.")
    known = _WEIGHTS_BY_NAME[name]
    if weights == "pretrained":
        weights = known
    elif isinstance(weights, str) and weights != known and not _looks_like_a_path(weights):
        raise ValueError(f"weights of {name!r} must be a path, None or {nearest_name(weights, (known, 'pretrained'))}")
    if name in _APPLICATIONS:
        return _load_application(name, input_shape, size, weights, seed)
    return _load_small_resnet(name, input_shape, size, weights, seed)


def _looks_like_a_path(text: str) -> bool:
    return "/" in text or "\\" in text or text.endswith((".h5", ".keras")) or Path(text).exists()


def wrap_backbone(
    keras_model: keras.Model, stage_ends: Sequence[str] | None = None, name: str | None = None
) -> Backbone:
    """Any functional Keras model as a backbone, such as one of keras.applications or KerasHub.

    The model should take raw pixels and end in its last feature map; images of a known size can be cached, too. Weights
    are shared with ``keras_model``, not copied.

    A model that another one holds as one layer (``input -> preprocessing -> base``) is opened when more than half of
    all weights lie in it, so that its layers can be named and cut; one that ``stage_ends`` names stays closed.

    Without ``stage_ends`` the stages come from :func:`find_boundaries`: one stage a resolution, each ending at the last
    boundary before the resolution halves. What has no weights, such as pooling, belongs to the stage before it, and the
    wide middle of a block, such as MobileNet's, is passed over. A network that does not halve its resolution twice,
    such as a ViT, is cut into five stages with about as many weights each.

    Args:
        stage_ends: The names of the layers at which the model may be cut, from input to output, the last one being its
            output layer; ``None`` finds them.
        name: A name for tables and errors; ``None`` is the model's own.

    Raises:
        ValueError: See :class:`Backbone`; or the boundaries are to be found in a subclassed model.
    """
    graph = _opened(keras_model, () if stage_ends is None else tuple(stage_ends))
    ends = _default_stage_ends(graph) if stage_ends is None else tuple(stage_ends)
    return Backbone(graph.name if name is None else name, graph, ends)


def find_boundaries(keras_model: keras.Model) -> tuple[str, ...]:
    """Every layer at which a model can be cut: no path from the input to the output goes around its output.

    The names are those that :func:`wrap_backbone` takes as ``stage_ends``, from input to output, the input left out. A
    layer that the model uses several times is left out, too: its name would not say which use is meant.

    Raises:
        ValueError: The model is not functional, or has several inputs or outputs.
    """
    graph = _opened(keras_model, ())
    outputs = _outputs_by_name(graph)
    names = [_operation(segment[-1]).name for segment in _segments(graph)[1:]]
    return tuple(name for name in names if len(outputs[name]) == 1)


def _opened(model: Any, closed: tuple[str, ...]) -> keras.Model:
    """The same layers in one graph when the model holds, as one layer, another with more than half of its weights."""
    graph = _as_graph(model)
    if _whole_model_inside(graph, closed) is None:
        return graph
    try:
        return keras.Model(graph.inputs[0], _run_again(graph, graph.inputs[0], closed), name=graph.name)
    except ValueError as error:  # Keras: 'The name "rescaling" is used 2 times in the model.'
        if "unique" not in str(error):
            raise
        raise ValueError(
            "a model inside the backbone must have other layer names than the one around it, so that a name says which "
            f"layer is meant: {one_line(error)}"
        ) from error


def _whole_model_inside(graph: Any, closed: tuple[str, ...]) -> keras.Model | None:
    inner = [op for op in graph.operations if isinstance(op, keras.Model) and op.name not in closed]
    base = next((model for model in inner if 2 * model.count_params() > graph.count_params()), None)
    # A subclass of a functional model may have a call of its own, and would then do something else than its graph.
    if base is not None and not (
        hasattr(_functional(base), "operations") and type(base).call.__module__.startswith("keras.")
    ):
        raise ValueError(
            f"a model inside the backbone must be functional or sequential, got {base.name!r} ({type(base).__name__}), "
            "a subclassed one, which cannot be cut: name it in stage_ends to keep it whole."
        )
    return base


def _functional(model: Any) -> Any:
    return getattr(model, "_functional", None) or model  # a sequential model keeps its graph inside


def _run_again(graph: Any, x: Any, closed: tuple[str, ...], training: bool | None = None) -> Any:
    """What the graph gives for ``x``, on the same layers, with the whole model inside it opened."""
    base = _whole_model_inside(graph, closed)

    def opened(operation: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if training is not None and getattr(operation, "_call_has_training_arg", False):
                options["training"] = training
            if operation is not base:
                return operation(*arguments, **options)
            return _run_again(_functional(base), arguments[0], closed, options.get("training"))

        return call

    outputs = graph._run_through_graph([x], operation_fn=opened)
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs


_EVEN_STAGES = 5


@dataclass(frozen=True)
class _Place:
    """A place where a stage may end: numbers an example at it, and positions and weights of the layers before it."""

    name: str
    size: int
    positions: int
    weights: int


def _default_stage_ends(graph: keras.Model) -> tuple[str, ...]:
    """The choice of stages that :func:`wrap_backbone` documents."""
    places = _places(graph)
    stages: list[list[_Place]] = []
    for place in places:
        if not stages or 2 * place.positions <= stages[-1][0].positions:
            stages.append([])
        stages[-1].append(place)
    end = _operation(graph.output).name
    if len(stages) < 3:
        return (*(name for name in _even_stage_ends(places) if name != end), end)
    return (*(_slim(stage)[-1].name for stage in stages[:-1]), end)


def _even_stage_ends(places: list[_Place]) -> Iterator[str]:
    slim = {place.name for place in _slim(places)}
    total, passed, stage = sum(place.weights for place in places), 0, 0
    for place in places:
        passed += place.weights
        if place.name in slim and _EVEN_STAGES * passed // total > stage:
            stage = _EVEN_STAGES * passed // total
            yield place.name


def _slim(places: list[_Place]) -> list[_Place]:
    """Without those behind which, for a few weights more, more than twice as many numbers would have to be kept."""
    passed = np.cumsum([place.weights for place in places])
    return [
        place
        for i, place in enumerate(places)
        if not any(2 * places[j].size < place.size and 4 * passed[j] >= passed[i] for j in range(i))
    ]


def _places(graph: keras.Model) -> list[_Place]:
    """The boundaries after which layers with weights follow, each with the layers without weights that lead to it."""
    segments = _segments(graph)
    outputs = _outputs_by_name(graph)
    shapes = _shapes(graph, [segment[-1] for segment in segments])
    places: list[_Place] = []
    weights = 0
    for segment, shape in list(zip(segments, shapes, strict=True))[1:]:
        operations = {id(_operation(tensor)): _operation(tensor) for tensor in segment}.values()
        weights += sum(op.count_params() for op in operations if _learns(op))
        name, size = _operation(segment[-1]).name, int(np.prod(shape[1:]))
        if len(outputs[name]) > 1:
            continue  # its weights belong to the next place
        if weights:
            places.append(_Place(name, size, int(np.prod(shape[1:-1])), weights))
        elif places and size <= places[-1].size:
            places[-1] = _Place(name, size, places[-1].positions, places[-1].weights)
        weights = 0
    return places


def _learns(operation: Any) -> bool:
    return isinstance(operation, keras.layers.Layer) and not isinstance(operation, keras.layers.Normalization)


def _shapes(graph: keras.Model, tensors: list[Any]) -> list[tuple[int, ...]]:
    """The tensors' shapes for one image, of 224 pixels where the model takes any size."""
    if all(None not in tensor.shape[1:] for tensor in tensors):
        return [(1, *tensor.shape[1:]) for tensor in tensors]
    image = (1, *(224 if side is None else side for side in graph.inputs[0].shape[1:]))
    shapes = keras.Model(graph.inputs[0], tensors).compute_output_shape(image)
    return [tuple(shape) for shape in shapes]
