"""Parameter-efficient fine-tuning: a few new weights learn beside a pretrained backbone that stays as it is.

Three ways, and one idea: small layers that change nothing at the start are put into the graph, and they alone learn. So
flags say what learns, an audit shows it layer by layer, the stages stay where they were, and taking the new layers out
gives the old backbone back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tlkit._keras import keras
from tlkit._keras.graph import call_of
from tlkit.backbones import Backbone
from tlkit.backbones.graph import copying
from tlkit.domains import Array, check_count, check_seed
from tlkit.freezing import freeze_to

__all__ = ["add_adapters", "add_biases", "add_lora", "merge_added", "remove_added"]


@keras.saving.register_keras_serializable("tlkit")
class LowRank(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """A way around a dense layer or a convolution: ``[h, x]`` to ``h + alpha / rank * (x A) B``.

    ``x`` is what enters the layer and ``h`` what leaves it, before its activation. ``A`` is random and ``B`` zero, so
    that nothing changes at the start; their product never has more than ``rank`` independent columns (Hu et al., 2021,
    arXiv:2106.09685, section 4.1). Around a convolution ``A`` is one too, of the same size, and ``B`` is 1x1.

    Args:
        rank: Width of the way, 1 or more.
        alpha: See above; only its ratio to ``rank`` and the learning rate counts.
        kernel_size: Of the convolution; ``()`` for a dense layer. Also for the next three.
        strides: As the convolution's.
        padding: As the convolution's.
        dilation_rate: As the convolution's.
        seed: Makes ``A`` (normal, with a deviation of one over the root of its inputs).
    """

    def __init__(
        self,
        rank: int,
        alpha: float,
        *,
        kernel_size: Sequence[int] = (),
        strides: Sequence[int] = (),
        padding: str = "valid",
        dilation_rate: Sequence[int] = (),
        seed: int = 0,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(**keras_arguments)
        self.rank, self.alpha, self.seed = rank, alpha, seed
        self.kernel_size, self.strides = tuple(kernel_size), tuple(strides)
        self.padding, self.dilation_rate = padding, tuple(dilation_rate)

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        h, x = shapes
        inputs = int(np.prod(self.kernel_size)) * int(x[-1] or 0)
        self.a = self.add_weight(
            shape=(*self.kernel_size, x[-1], self.rank),
            initializer=keras.initializers.RandomNormal(stddev=inputs**-0.5, seed=self.seed),
            name="a",
        )
        self.b = self.add_weight(shape=(self.rank, h[-1]), initializer="zeros", name="b")

    def call(self, inputs: list[Any]) -> Any:
        h, x = inputs
        low = self._convolve(x) if self.kernel_size else keras.ops.matmul(x, self.a)  # (…, rank)
        return h + self.alpha / self.rank * keras.ops.matmul(low, self.b)

    def _convolve(self, x: Any) -> Any:
        # TensorFlow takes strides or dilation, not both; where neither is meant, neither is said.
        dilation = self.dilation_rate if any(rate != 1 for rate in self.dilation_rate) else 1
        return keras.ops.conv(x, self.a, self.strides, self.padding, "channels_last", dilation)

    def update(self) -> Array:
        """What the way adds to the kernel it goes around: ``alpha / rank * A B``, in the kernel's shape."""
        a, b = (weight.numpy().astype(np.float64) for weight in (self.a, self.b))
        product: Array = self.alpha / self.rank * np.tensordot(a, b, axes=1)
        return product

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return shapes[0]

    def get_config(self) -> dict[str, Any]:
        own = {"rank": self.rank, "alpha": self.alpha, "kernel_size": self.kernel_size, "strides": self.strides}
        own |= {"padding": self.padding, "dilation_rate": self.dilation_rate, "seed": self.seed}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("tlkit")
class Adapter(keras.layers.Layer):  # type: ignore[misc]
    """A bottleneck with a way around it: ``x`` to ``x + gelu(x D + d) U + u``, over the last axis.

    ``U`` and ``u`` are zero, so that nothing changes at the start (Houlsby et al., 2019, arXiv:1902.00751, section 2.1,
    where they are nearly zero). On feature maps it is two 1x1 convolutions (Rebuffi et al., 2017, arXiv:1705.08045).

    Args:
        width: Of the bottleneck, 1 or more.
        seed: Makes ``D`` (normal, with a deviation of one over the root of its inputs).
    """

    def __init__(self, width: int, *, seed: int = 0, **keras_arguments: Any) -> None:
        super().__init__(**keras_arguments)
        self.width, self.seed = width, seed

    def build(self, shape: tuple[int | None, ...]) -> None:
        channels = int(shape[-1] or 0)
        normal = keras.initializers.RandomNormal(stddev=channels**-0.5, seed=self.seed)
        self.down = self.add_weight(shape=(channels, self.width), initializer=normal, name="down")
        self.down_bias = self.add_weight(shape=(self.width,), initializer="zeros", name="down_bias")
        self.up = self.add_weight(shape=(self.width, channels), initializer="zeros", name="up")
        self.up_bias = self.add_weight(shape=(channels,), initializer="zeros", name="up_bias")

    def call(self, x: Any) -> Any:
        ops = keras.ops
        narrow = ops.gelu(ops.matmul(x, self.down) + self.down_bias, approximate=False)  # (…, width)
        return x + (ops.matmul(narrow, self.up) + self.up_bias)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width, "seed": self.seed}


@keras.saving.register_keras_serializable("tlkit")
class Offset(keras.layers.Layer):  # type: ignore[misc]
    """Adds a learned vector, zero at the start, along the last axis: what a bias has learned beyond the frozen one."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.offset = self.add_weight(shape=(shape[-1],), initializer="zeros", name="offset")

    def call(self, x: Any) -> Any:
        return x + self.offset

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape


_LORA, _ADAPTER, _BIAS, _ACTIVATION = "_lora", "_adapter", "_bias", "_activation"
_BEFORE = "_tlkit_before"  # the weights of all other layers, by name, as they were when layers were added
_NORMALIZATIONS = (keras.layers.BatchNormalization, keras.layers.LayerNormalization)


def add_lora(
    backbone: Backbone, *, rank: int = 4, alpha: float | None = None, layers: Sequence[str] | None = None, seed: int = 0
) -> Backbone:
    """A copy of the backbone with a low-rank way around each chosen layer (LoRA; Hu et al., 2021, arXiv:2106.09685).

    Until it is trained its outputs are those of ``backbone`` bit for bit (within a compiled graph, as ``predict`` runs
    it, TensorFlow may fuse the operations around a sum otherwise, and then up to rounding). Only the new matrices
    learn: ``rank * (inputs + outputs)`` weights for a dense layer. ``backbone`` itself is left alone. Stages are the
    same, so that :func:`tlkit.features.split_at` and :func:`tlkit.features.cache_features` work;
    :func:`tlkit.freezing.freeze_to` chooses in which stages the new layers learn, and never unfreezes an old one.

    Args:
        rank: 1 up to the number of inputs or outputs of the narrowest chosen layer.
        alpha: The way is scaled by ``alpha / rank``; ``None`` is ``alpha = rank``. Under Adam it acts nearly as a
            learning rate does (section 4.1 there).
        layers: Names of Keras' dense layers and convolutions, or how names end: ``("query", "value")`` is the paper's
            choice for a Transformer. ``None`` is all of them.
        seed: Makes the random matrices.

    Raises:
        ValueError: An argument is out of range, a layer is none of these, or layers were added before.
    """
    check_count("rank", rank)
    check_seed(seed)
    if alpha is not None and not 0 < alpha < float("inf"):
        raise ValueError(f"alpha must be above 0, got {alpha}.")
    chosen = _chosen(
        backbone, layers, _has_kernel, "dense layers or convolutions of Keras (in one group, channels last)"
    )
    for layer in chosen:
        smallest = min(int(np.prod(layer.kernel.shape[:-1])), int(layer.kernel.shape[-1]))
        if rank > smallest:
            raise ValueError(f"rank must be in 1..{smallest}, the smaller side of {layer.name!r}, got {rank}.")
    seeds = iter(np.random.SeedSequence(seed).generate_state(len(chosen)).tolist())

    def beside(layer: keras.layers.Layer) -> LowRank:
        form: dict[str, Any] = {}
        if isinstance(layer, keras.layers.Conv2D):
            form = {key: getattr(layer, key) for key in ("kernel_size", "strides", "padding", "dilation_rate")}
        scale = float(rank if alpha is None else alpha)
        return LowRank(int(rank), scale, seed=next(seeds), name=f"{layer.name}{_LORA}", **form)

    return _with_added(backbone, {layer.name: beside(layer) for layer in chosen}, before_activation=True)


def add_adapters(
    backbone: Backbone, *, width: int = 16, layers: Sequence[str] | None = None, seed: int = 0
) -> Backbone:
    """A copy of the backbone with a bottleneck behind each chosen layer (Houlsby et al., 2019, arXiv:1902.00751).

    Only the bottlenecks learn: ``2 * width * channels + width + channels`` weights each. (Houlsby et al. train the
    layer normalisations as well.) Outputs and stages are as for :func:`add_lora`. An adapter is not linear: it stays,
    and costs time, when the training is over.

    Args:
        width: Of the bottleneck, 1 or more.
        layers: Names of layers that give ``(n, …, channels)``, or how names end. ``None`` is the last layer of each
            residual branch, before the sum: twice a block in a Transformer, once in a ResNet.
        seed: Makes the random matrices.

    Raises:
        ValueError: An argument is out of range, a layer is not known, there is no sum, or layers were added before.
    """
    check_count("width", width)
    check_seed(seed)
    if layers is None:
        layers = _before_sums(backbone)
    chosen = _chosen(backbone, layers, _has_channels, "layers that give (n, …, channels)")
    seeds = iter(np.random.SeedSequence(seed).generate_state(len(chosen)).tolist())
    new = {layer.name: Adapter(int(width), seed=next(seeds), name=f"{layer.name}{_ADAPTER}") for layer in chosen}
    return _with_added(backbone, new, before_activation=False)


def add_biases(backbone: Backbone, *, layers: Sequence[str] | None = None) -> Backbone:
    """A copy of the backbone in which the biases alone learn (BitFit; Ben Zaken et al., 2021, arXiv:2106.10199).

    A bias ``b`` becomes ``b + offset``: ``b`` stays frozen, and the offset, zero at the start, learns, which is the
    same under any optimizer that does not decay weights. Biases are those of dense layers and convolutions, and the
    ``beta`` of normalisations: in a ResNet, whose convolutions have none, BatchNorm's, with its statistics held.
    Outputs and stages are as for :func:`add_lora`.

    Args:
        layers: Names of layers with a bias, or how names end; ``None`` is all of them.

    Raises:
        ValueError: A layer has no bias, there is none at all, or layers were added before.
    """
    chosen = _chosen(backbone, layers, _has_bias, "layers with a bias")
    new = {layer.name: Offset(name=f"{layer.name}{_BIAS}") for layer in chosen}
    return _with_added(backbone, new, before_activation=True)


def merge_added(backbone: Backbone) -> Backbone:
    """A plain backbone that computes the same: what LoRA or biases have learned is added to the layers' own weights.

    Outputs agree up to rounding; all flags are on. It costs no more time than the backbone did at first.

    Raises:
        ValueError: Nothing was added, or adapters were: no dense layer can do what they do.
    """
    _check_added(backbone)
    merged = _without_added(backbone)
    for name in backbone.added:
        layer = backbone.model.get_layer(name)
        if isinstance(layer, Adapter):
            raise ValueError(f"what was added must be LoRA or biases to be merged, got the adapter {name!r}.")
        if isinstance(layer, LowRank):
            _add_to(merged.model.get_layer(name.removesuffix(_LORA)).kernel, layer.update())
        elif isinstance(layer, Offset):
            own = merged.model.get_layer(name.removesuffix(_BIAS))
            _add_to(own.beta if isinstance(own, _NORMALIZATIONS) else own.bias, layer.offset.numpy())
    return merged


def remove_added(backbone: Backbone) -> Backbone:
    """The backbone as it was before layers were added, whatever has moved since: equal weights, bit for bit.

    It is a copy, and all flags are on. Of a model that was saved and loaded meanwhile the weights are those of the
    file.

    Raises:
        ValueError: Nothing was added.
    """
    _check_added(backbone)
    plain = _without_added(backbone)
    for name, weights in vars(backbone.model).get(_BEFORE, {}).items():
        plain.model.get_layer(name).set_weights(weights)
    return plain


def _check_added(backbone: Backbone) -> None:
    if not backbone.added:
        raise ValueError(
            f"backbone must have added layers (add_lora and its like), got {backbone.name!r}, a plain one."
        )


def _is_of_keras(layer: keras.layers.Layer) -> bool:
    """Whether a kernel and a bias do in it what they do in Keras; a subclass may call them as it likes."""
    return type(layer).__module__.startswith("keras.")


def _has_kernel(layer: keras.layers.Layer) -> bool:
    if not _is_of_keras(layer):
        return False
    if isinstance(layer, keras.layers.Conv2D):
        return bool(layer.groups == 1 and layer.data_format == "channels_last")
    return isinstance(layer, keras.layers.Dense)


def _has_bias(layer: keras.layers.Layer) -> bool:
    if not _is_of_keras(layer):
        return False
    if isinstance(layer, _NORMALIZATIONS):
        return bool(layer.center and list(np.atleast_1d(layer.axis)) in ([-1], [len(layer.output.shape) - 1]))
    if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
        return bool(layer.use_bias and layer.data_format == "channels_last")
    return isinstance(layer, keras.layers.Dense) and bool(layer.use_bias)


def _has_channels(layer: keras.layers.Layer) -> bool:
    output = getattr(layer, "output", None)
    return not isinstance(layer, keras.layers.InputLayer) and len(getattr(output, "shape", ())) > 1


def _chosen(
    backbone: Backbone, layers: Sequence[str] | None, fits: Callable[[keras.layers.Layer], bool], what: str
) -> list[keras.layers.Layer]:
    """The layers of the backbone that are meant, in order, each once."""
    if backbone.added:
        raise ValueError(f"backbone must be plain (remove_added, merge_added), got one with {backbone.added[0]!r}.")
    if isinstance(layers, str):
        raise ValueError(f"layers must be a list of names, got the one string {layers!r}.")
    possible = [layer for layer in backbone.model.layers if fits(layer)]
    if not possible:
        raise ValueError(f"backbone must have {what}, got {backbone.name!r}, which has none.")
    if layers is None:
        return possible
    for wanted in layers:
        if not any(_named(layer.name, wanted) for layer in possible):
            known = ", ".join(repr(layer.name) for layer in possible[:3])
            raise ValueError(f"layers must name {what}: {known} or another of {len(possible)}, got {wanted!r}.")
    return [layer for layer in possible if any(_named(layer.name, wanted) for wanted in layers)]


def _named(name: str, wanted: str) -> bool:
    return name == wanted or name.endswith(f"_{wanted}")


def _before_sums(backbone: Backbone) -> list[str]:
    """The layer that each sum takes last, which is the end of a residual branch: ``Add([x, branch(x)])``."""
    sums = [layer for layer in backbone.model.layers if isinstance(layer, keras.layers.Add)]
    if not sums:
        raise ValueError(f"backbone must have residual branches, or layers must be named, got {backbone.name!r}.")
    return [call_of(layer.input[-1]).operation.name for layer in sums]


def _with_added(backbone: Backbone, new: dict[str, keras.layers.Layer], *, before_activation: bool) -> Backbone:
    """A copy of the backbone with each new layer behind the layer of that name."""
    activations: dict[str, keras.layers.Layer] = {}

    def copy(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer):
            return layer  # an operation without weights
        config = layer.get_config()
        if before_activation and layer.name in new and config.get("activation", "linear") != "linear":
            own = keras.layers.Activation(layer.activation, name=f"{layer.name}{_ACTIVATION}")
            activations[layer.name], config["activation"] = own, "linear"
        return _made(layer, config)

    def after(name: str, h: Any, inputs: tuple[Any, ...]) -> Any:
        if name in new:
            h = new[name]([h, inputs[0]] if isinstance(new[name], LowRank) else h)
        return activations[name](h) if name in activations else h

    added = [layer.name for layer in new.values()]
    return _rebuilt(backbone, copy, after, lambda: [*added, *(layer.name for layer in activations.values())])


def _without_added(backbone: Backbone) -> Backbone:
    """A copy of the backbone without the added layers, its activations back in their places."""
    added = {name: backbone.model.get_layer(name) for name in backbone.added}

    def copy(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer) or layer.name in added:
            return layer
        config = layer.get_config()
        activation = added.get(f"{layer.name}{_ACTIVATION}")
        if activation is not None:
            config["activation"] = keras.activations.serialize(activation.activation)
        return _made(layer, config)

    return _rebuilt(backbone, copy, None, list)


def _made(layer: keras.layers.Layer, config: dict[str, Any]) -> keras.layers.Layer:
    made = type(layer).from_config(config)
    made.name = layer.name  # which a layer of somebody's own need not write down
    return made


def _rebuilt(
    backbone: Backbone,
    copy: Callable[[Any], Any],
    after: Callable[[str, Any, tuple[Any, ...]], Any] | None,
    added: Callable[[], Iterable[str]],
) -> Backbone:
    """The backbone's graph over again, on copies of its layers with the same weights; all that may learn learns.

    With ``after`` its result takes the place of each layer's output; without it, added layers pass on what they take.
    """
    end_of: dict[str, str] = {}

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        if after is None and layer.name in backbone.added:
            result = inputs[0][0] if isinstance(inputs[0], (list, tuple)) else inputs[0]
        else:
            result = layer(*inputs, **options)
            result = result if after is None else after(layer.name, result, inputs)
        if isinstance(result, keras.KerasTensor):
            end_of[layer.name] = call_of(result).operation.name
        return result

    with copying(backbone.model):
        model = keras.models.clone_model(backbone.model, clone_function=copy, call_function=call)
    kept = {}
    for layer in model.layers:
        if layer.name in end_of and layer.weights:
            kept[layer.name] = backbone.model.get_layer(layer.name).get_weights()
            layer.set_weights(kept[layer.name])
    stage_ends = tuple(end_of[name] for name in backbone.stage_ends)
    rebuilt = Backbone(backbone.name, model, stage_ends, tuple(added()))
    if rebuilt.added:
        vars(rebuilt.model)[_BEFORE] = kept  # set there, Keras does not see it as a part
    freeze_to(rebuilt, 0, train_batchnorm=not rebuilt.added)
    return rebuilt


def _add_to(weight: keras.Variable, change: Array) -> None:
    weight.assign((weight.numpy().astype(np.float64) + change).astype(np.float32))
