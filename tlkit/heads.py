"""Heads: the task's own layers, and joining a core to a head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tlkit._keras import keras
from tlkit.assets import asset_names, asset_path
from tlkit.backbones import Backbone, check_backbone
from tlkit.backbones.efficientnet_lite import FILE, imagenet_classes
from tlkit.backbones.graph import check_channels_last, check_model, name_in_graphs
from tlkit.domains import Array, check_count, check_list, check_seed, load_domain
from tlkit.words import nearest_name

__all__ = ["build_head", "join", "load_source_head", "source_classes"]

_HEAD_FILE = "_head.weights.h5"
_IMAGENET = "efficientnet_lite0"  # its head lies in the file of the network, where it is the only dense layer


def build_head(
    backbone: Backbone, n_classes: int, *, hidden: Sequence[int] = (), dropout: float = 0.0, seed: int = 0
) -> keras.Model:
    """Global average pooling of a feature map, optional hidden layers, then one logit a class.

    Args:
        backbone: Only the shape of what it ends in is used.
        n_classes: Number of classes, 2 or more.
        hidden: Width of each hidden layer (ReLU), from the pooled features on.
        dropout: Share of units dropped before each dense layer while training, in [0, 1).
        seed: Makes the start weights and the dropout.

    Returns:
        A model from the feature map ``(n, h, w, c)`` (or vectors ``(n, c)``) to logits ``(n, n_classes)``. There is no
        softmax: the loss takes logits, which cannot overflow.

    Raises:
        ValueError: An argument is out of range, or the backbone ends in neither a feature map nor vectors.
    """
    check_backbone(backbone)
    check_count("n_classes", n_classes, least=2)
    check_list("hidden", hidden, "widths")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be in [0, 1), got {dropout}.")
    if any(width < 1 for width in hidden):
        raise ValueError(f"hidden widths must be 1 or more, got {tuple(hidden)}.")
    check_seed(seed)
    check_channels_last()
    feature_shape = backbone.model.output_shape[1:]
    if len(feature_shape) not in (1, 3):
        raise ValueError(
            f"a backbone must end in a map (n, h, w, c) or in vectors (n, c), got {backbone.name!r}, which ends in "
            f"{backbone.model.output_shape}: let it end in the mean over its tokens."
        )
    seeds = iter(np.random.SeedSequence(seed).generate_state(2 * len(hidden) + 2).tolist())
    head = keras.Sequential([keras.Input(feature_shape)], name="head")
    if len(feature_shape) > 1:
        head.add(keras.layers.GlobalAveragePooling2D(name="pool"))
    for i, width in enumerate((*hidden, n_classes), start=1):
        if dropout:
            head.add(keras.layers.Dropout(dropout, seed=next(seeds), name=f"dropout{i}"))
        last = i > len(hidden)
        head.add(
            keras.layers.Dense(
                int(width),  # np.unique and len of an array give NumPy's integers, which Keras refuses
                activation=None if last else "relu",
                kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)),
                name="logits" if last else f"hidden{i}",
            )
        )
    return head


def join(core: keras.Model, head: keras.Model) -> keras.Model:
    """One model that runs ``core`` (a backbone's model, or its tail) and then ``head``; weights are shared, not copied.

    Raises:
        ValueError: The head takes another shape than the core gives, or one of them is no Keras model that is built.
    """
    check_model(core)
    check_model(head)
    if core.output_shape[1:] != head.input_shape[1:]:
        raise ValueError(f"head must take {core.output_shape[1:]}, what the core gives, got {head.input_shape[1:]}.")
    return keras.Model(core.inputs[0], head(core.outputs[0]), name=name_in_graphs(f"{core.name}_{head.name}"))


def source_classes(backbone: Backbone) -> tuple[str, ...]:
    """The classes that a bundled backbone was pretrained on, in the order of its own logits.

    Of ``efficientnet_lite0`` these are ImageNet's 1,000; ``tlkit.asset_path("imagenet_classes.txt")`` holds them, a
    line each.

    Raises:
        ValueError: No head is bundled for the backbone.
    """
    check_backbone(backbone)
    if backbone.name == _IMAGENET:
        return imagenet_classes()
    if f"{backbone.name}{_HEAD_FILE}" not in asset_names():
        named = [name.removesuffix(_HEAD_FILE) for name in asset_names() if name.endswith(_HEAD_FILE)]
        raise ValueError(f"a source head is bundled for backbone {nearest_name(backbone.name, [*named, _IMAGENET])}")
    return load_domain(backbone.name.removeprefix("resnet_")).classes


def load_source_head(backbone: Backbone, classes: Sequence[str] | None = None) -> keras.Model:
    """The head that a bundled backbone was pretrained with, reduced to ``classes`` in that order.

    Leaving out the logits of the other classes conditions the softmax on the classes that are possible.

    Args:
        backbone: One of :func:`tlkit.load_backbone` with its own pretrained weights.
        classes: Some of :func:`source_classes`; ``None`` is all of them.

    Returns:
        A model from the feature map ``(n, h, w, c)`` to logits ``(n, classes)``.

    Raises:
        ValueError: The backbone has no bundled head, or it does not know a class.
    """
    known = source_classes(backbone)
    wanted = known if classes is None else classes
    check_list("classes", wanted, "names")
    for name in wanted:
        if name not in known:
            raise ValueError(f"class must be {nearest_name(name, known)}")
    kernel, bias = _source_logits(backbone, len(known))
    chosen = [known.index(name) for name in wanted]
    head = build_head(backbone, len(chosen))
    head.get_layer("logits").set_weights([kernel[:, chosen], bias[chosen]])
    return head


def _source_logits(backbone: Backbone, n_classes: int) -> list[Array]:
    """Kernel ``(c, n_classes)`` and bias of the last layer of the pretraining."""
    head = build_head(backbone, n_classes)
    head.load_weights(asset_path(FILE if backbone.name == _IMAGENET else f"{backbone.name}{_HEAD_FILE}"))
    weights: list[Array] = head.get_layer("logits").get_weights()
    return weights
