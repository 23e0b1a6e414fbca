"""Explain: where in an image the evidence for a class lies (Grad-CAM)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tlkit._keras import keras, tf
from tlkit.backbones import Backbone, check_backbone
from tlkit.backbones.graph import check_model
from tlkit.domains import Array, Split
from tlkit.features import check_shape, split_at

__all__ = ["grad_cam"]

_BATCH = 64  # images at a time, so that memory does not grow with their number


def grad_cam(
    backbone: Backbone,
    head: keras.Model,
    images: Array,
    *,
    classes: int | Sequence[int] | Array | None = None,
    stage: int | None = None,
) -> Array:
    r"""Heat maps of what speaks for a class: Grad-CAM (Selvaraju et al., 2016, arXiv:1610.02391).

    The feature map at the end of ``stage`` has channels $A_k$. The weight of a channel is the mean of the gradient of
    the class's logit over its positions, $\alpha_k$; the heat map is $\mathrm{ReLU}(\sum_k \alpha_k A_k)$, scaled up to
    the image by bilinear interpolation. At the last stage, under a head of average pooling and one dense layer, that is
    the class activation map (Zhou et al., 2015, arXiv:1512.04150) divided by the number of positions.

    A heat map is a hint and no proof: look at what random weights give (Adebayo et al., 2018, arXiv:1810.03292). The
    model, its weights and its flags stay as they are.

    Args:
        backbone: The base model.
        head: From its feature map to logits ``(n, n_classes)``; what both are joined to is what is explained.
        images: ``(n, h, w, c)``, as the backbone takes them.
        classes: The class to explain, one for all images or one for each, ``(n,)``; ``None`` is the most likely one.
        stage: Whose feature map to read, 1..n_stages; ``None`` is the last. Early maps are finer, and further from the
            decision.

    Returns:
        ``(n, h, w)`` ``float32``, 0 or more, in units of the logit; 0 where nothing speaks for the class. Maps are not
        rescaled one by one: divide by each one's maximum to show them side by side.

    Raises:
        ValueError: A backbone that takes no images, a stage without a feature map, a class that the head has no logit
            for, another image shape, or a head for other features.
    """
    check_backbone(backbone)
    check_model(head)
    stage = backbone.n_stages if stage is None else stage
    backbone.check_stage(stage)
    if len(backbone.model.input_shape) != 4:
        taken = backbone.model.input_shape
        raise ValueError(f"backbone must take images (n, h, w, c), got {backbone.name!r}, which takes {taken}.")
    if stage == 0 or len(backbone.boundary(stage).shape) != 4:
        raise ValueError(f"stage must be in 1..{backbone.n_stages} and end in a map (n, h, w, c), got {stage}.")
    if head.input_shape[1:] != backbone.model.output_shape[1:]:
        wanted = backbone.model.output_shape[1:]
        raise ValueError(f"head must take {wanted}, what the backbone gives, got {head.input_shape[1:]}.")
    split = Split(images, np.zeros(len(images), np.int64) if classes is None else _labels(classes, len(images)))
    check_shape(backbone.model, split)
    n_classes = head.output_shape[-1]
    if split.y.max() >= n_classes:
        raise ValueError(f"classes must be in 0..{n_classes - 1}, the head's logits, got {split.y.max()}.")
    trunk, tail = split_at(backbone, stage)

    def heat(x: Array, y: Array | None) -> Array:
        features = trunk(x, training=False)  # (n, h', w', k)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(features)
            logits = head(tail(features, training=False), training=False)
            chosen = tf.argmax(logits, axis=-1) if y is None else tf.constant(y)
            # Before the softmax: a probability near 1 has no gradient left. The sum runs over independent images.
            score = tf.reduce_sum(tf.gather(logits, chosen, batch_dims=1))
        gradient = tape.gradient(score, features, unconnected_gradients="zero")
        weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)  # (n, 1, 1, k)
        coarse = tf.nn.relu(tf.reduce_sum(weights * features, axis=-1, keepdims=True))
        return np.asarray(tf.image.resize(coarse, split.x.shape[1:3])[..., 0], np.float32)

    starts = range(0, len(split), _BATCH)
    parts = [slice(start, start + _BATCH) for start in starts]
    return np.concatenate([heat(split.x[part], None if classes is None else split.y[part]) for part in parts])


def _labels(classes: int | Sequence[int] | Array, n: int) -> Array:
    labels = np.asarray(classes)
    if labels.ndim == 0:
        labels = np.full(n, labels)
    if labels.shape != (n,) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ValueError(f"classes must be one index, or one an image ({n},), 0 or more, got {classes}.")
    return labels
