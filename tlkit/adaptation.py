"""Adaptation: move a network to a target domain whose labels nobody has.

Every function here takes the target as an array of images, token ids or cached features. None takes its labels.
``source`` is a :class:`tlkit.domains.Split` with labels. A method that trains takes the network in two parts, ``core``
and ``head``, as :func:`tlkit.heads.join` does: a backbone's model, or the tail behind a frozen trunk
(:func:`tlkit.features.split_at`), and then ``source.x`` and ``target`` are the trunk's features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
import pandas as pd

from tlkit._keras import keras, tf
from tlkit._keras.graph import all_layers
from tlkit._keras.tracing import graph_of
from tlkit._steps import EntropySteps, PairSteps
from tlkit.backbones.graph import check_model
from tlkit.domains import Array, Split, check_count, check_not_negative, check_split
from tlkit.features import batches, check_shape, feature_pair
from tlkit.freezing import OneAtATime, is_batchnorm, only_learning
from tlkit.heads import join
from tlkit.training import DEFAULTS, FitKeywords, FitOptions, fit_by_steps
from tlkit.words import one_line

__all__ = [
    "DANN",
    "DeepCoral",
    "PseudoLabels",
    "adapt",
    "adapt_batchnorm",
    "coral",
    "coral_loss",
    "reversal_strength",
    "reverse_gradient",
    "tent",
]

BEGIN, FULL = 0.2, 0.7  # the parts of a training at which pseudo-labels begin to count, and count fully

# From the features of both batches, the target's logits, and the part of the training that is done, 0..1: the value for
# the history, and what is added to the cross-entropy.
_Term = Callable[[Any, Any, Any, Any], tuple[Any, Any]]


def _unlabelled(model: keras.Model, target: object) -> Split:
    """The target's examples, as what trains takes them: the labels are all 0, and nothing reads them."""
    if not isinstance(target, np.ndarray):
        hint = ": give its x, the labels have no part in this" if isinstance(target, Split) else ""
        raise ValueError(f"target must be an array of examples without labels, got {type(target).__name__}{hint}.")
    split = Split(target, np.zeros(len(target), np.int64))
    check_shape(model, split)
    return split


def _batchnorms(model: keras.Model, target: object) -> tuple[list[keras.layers.Layer], Split]:
    """The layers whose statistics the target gives, and the target's examples."""
    check_model(model)
    layers = [layer for layer in all_layers(model) if is_batchnorm(layer)]
    if not layers:
        raise ValueError(f"model must have a BatchNorm layer, got {model.name!r}, which has none.")
    examples = _unlabelled(model, target)
    if len(examples) < 2:
        raise ValueError("target must have 2 examples or more, since one has no variance, got 1.")
    return layers, examples


def adapt_batchnorm(model: keras.Model, target: Array, *, batch_size: int = 512) -> None:
    """AdaBN: give each BatchNorm layer the mean and variance that its input has on the target.

    Li et al., 2016, arXiv:1603.04779. Nothing learns, and no other weight changes. It works in place, on frozen layers
    too, and flags stay as they were. Statistics of up to ``batch_size`` examples are exactly those of all of them. Of
    more, each batch is normalised by its own on the way to the next layer, as in training, and means and variances are
    pooled over the batches. Dropout in front of a BatchNorm layer drops while the statistics are taken.

    Args:
        model: With one BatchNorm layer or more.
        target: Examples ``(n, ...)`` as the model takes them, 2 or more.
        batch_size: Examples that run at once, 2 or more: memory grows with it.

    Raises:
        ValueError: The model has no BatchNorm, the target is no array that it takes, or an argument is out of range.
        RuntimeError: Another training moves these layers now.
    """
    layers, examples = _batchnorms(model, target)
    check_count("batch_size", batch_size, least=2)
    statistics = [(layer.moving_mean, layer.moving_variance) for layer in layers]
    momenta = [layer.momentum for layer in layers]
    sizes, found = list[int](), list[list[tuple[Array, Array]]]()

    def forward(x: Any) -> None:
        model(x, training=True)

    with OneAtATime(model.name, [each for pair in statistics for each in pair]), only_learning(model, is_batchnorm):
        try:
            for layer in layers:
                layer.momentum = 0.0  # the old statistics are forgotten in one step
            run = graph_of(forward)  # a graph frees what it needs no more; called directly, nothing is
            for x, _ in batches(examples, batch_size, model=model):
                run(x)
                sizes.append(len(x))
                found.append([(mean.numpy(), variance.numpy()) for mean, variance in statistics])
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum
    shares = np.asarray(sizes, np.float64) / sum(sizes)
    for (mean, variance), batch in zip(statistics, zip(*found, strict=True), strict=True):
        means, variances = (np.stack(parts).astype(np.float64) for parts in zip(*batch, strict=True))
        pooled = shares @ means
        mean.assign(pooled)
        variance.assign(shares @ (variances + (means - pooled) ** 2))  # within the batches, and between them


def _power(covariance: Array, exponent: float) -> Array:
    """A symmetric matrix raised to a power; directions without variance stay without."""
    values, vectors = np.linalg.eigh(covariance)
    used = values > max(values[-1], 0) * len(values) * np.finfo(np.float64).eps
    return np.asarray((vectors[:, used] * values[used] ** exponent) @ vectors[:, used].T)


def coral(source: Array, target: Array, *, ridge: float = 1.0) -> Array:
    """CORAL: turn and scale the source's features so that their covariance is the target's; their mean as well.

    Sun, Feng & Saenko, 2016, arXiv:1511.05547: ``(source - mean) @ (C_s + ridge I)^-1/2 @ (C_t + ridge I)^1/2``, with
    covariances ``C``. The paper adds ``I`` to both (``ridge=1``) and takes features that were centred; here the
    target's mean is put back, so that a classifier of the moved features reads target features as they come. With
    ``ridge=0`` the covariances are equal afterwards, where the source's has full rank.

    Args:
        source: Features ``(n, d)``, 2 examples or more, such as :func:`tlkit.features.pool_features` gives.
        target: Features ``(m, d)`` of unlabelled target examples, 2 or more.
        ridge: What is added to each variance, in squared units of the features, 0 or more.

    Returns:
        The source's features, moved, ``(n, d)`` ``float32``; their labels are the source's.

    Raises:
        ValueError: Another shape, features that are not finite, or ``ridge`` is below 0.
    """
    x, goal = feature_pair(source, target)
    check_not_negative("ridge", ridge)
    check_count("examples of each domain", min(len(x), len(goal)), least=2)
    added = ridge * np.eye(x.shape[1])
    whiten, color = (_power(np.atleast_2d(np.cov(part.T)) + added, half) for part, half in ((x, -0.5), (goal, 0.5)))
    return np.asarray((x - x.mean(axis=0)) @ whiten @ color + goal.mean(axis=0), np.float32)


def coral_loss(source: Any, target: Any) -> Any:
    """The loss of Deep CORAL: the squared distance of two covariances, ``|C_s - C_t|^2 / (4 d^2)`` (Frobenius).

    Sun & Saenko, 2016, arXiv:1607.01719, equation 1.

    Args:
        source: Features ``(n, d)`` of a batch, a tensor or an array.
        target: Features ``(m, d)`` of another; ``n`` and ``m`` may differ.

    Returns:
        A scalar tensor, 0 or more, through which gradients flow. A batch of one example has the covariance 0.

    Raises:
        ValueError: Another shape, or different numbers of features.
    """
    pair = [tf.cast(tf.convert_to_tensor(x), "float32") for x in (source, target)]
    if any(len(x.shape) != 2 for x in pair) or pair[0].shape[1] != pair[1].shape[1]:
        raise ValueError(f"source and target must be features (n, d) and (m, d), got {pair[0].shape}, {pair[1].shape}.")

    def covariance(x: Any) -> Any:
        centred = x - tf.reduce_mean(x, axis=0)
        return tf.matmul(centred, centred, transpose_a=True) / tf.maximum(tf.cast(tf.shape(x)[0], "float32") - 1, 1)

    return tf.reduce_sum((covariance(pair[0]) - covariance(pair[1])) ** 2) / (4 * pair[0].shape[1] ** 2)


def reverse_gradient(x: Any, strength: Any) -> Any:
    """Gradient reversal: ``x`` forward, and ``-strength`` times the gradient backward.

    Ganin et al., 2016, arXiv:1505.07818, section 4.2. What follows it learns to lower a loss, what precedes it to raise
    the same loss.

    Args:
        x: A tensor of any shape; one that is equal to it is returned.
        strength: The paper's lambda, a number or a scalar tensor.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow ships no types
    def reversed_(value: Any) -> tuple[Any, Callable[[Any], Any]]:
        return tf.identity(value), lambda gradient: -tf.cast(strength, gradient.dtype) * gradient

    return reversed_(tf.convert_to_tensor(x))


def reversal_strength(progress: Any, *, gamma: float = 10.0) -> Any:
    """The schedule of DANN's lambda: ``2 / (1 + exp(-gamma p)) - 1``, from 0 to nearly 1.

    Ganin et al., 2016, arXiv:1505.07818, section 5.2.2: at first the domain classifier knows nothing yet, and what it
    sends back is noise.

    Args:
        progress: The paper's p, the part of the training that is done, 0..1: a number, an array or a tensor.
        gamma: How soon it rises; the paper's is 10.

    Returns:
        The strength, of the shape of ``progress``, 0..1.
    """
    exp = tf.exp if tf.is_tensor(progress) else np.exp
    return 2 / (1 + exp(-gamma * progress)) - 1


@dataclass(frozen=True)
class DANN:
    """Features by which a domain classifier cannot tell source from target (Ganin et al., 2016, arXiv:1505.07818).

    The domain classifier (one hidden layer, then one logit) reads the pooled features through :func:`reverse_gradient`,
    whose strength is ``weight`` times :func:`reversal_strength`. It learns at the same rate as the network, by an
    optimizer of its own. The paper lowers the rate during the training; here it stays.

    Args:
        weight: The strength that the schedule rises to, 0 or more; the paper's is 1.
        hidden: Width of the hidden layer, 1 or more; the paper takes 100 for digits.
    """

    weight: float = 1.0
    hidden: int = 100

    def __post_init__(self) -> None:
        check_not_negative("weight", self.weight)
        check_count("hidden", self.hidden)


@dataclass(frozen=True)
class DeepCoral:
    """The source's loss plus ``weight`` times :func:`coral_loss` of the pooled features of both batches.

    Sun & Saenko, 2016, arXiv:1607.01719. The paper aligns the logits, and chooses the weight so that both terms are
    about equal at the end; here the features in front of the head are aligned.

    Args:
        weight: 0 or more.
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_not_negative("weight", self.weight)


@dataclass(frozen=True)
class PseudoLabels:
    """The class that the network itself finds most likely for a target example is taken for its label.

    Lee, 2013 (ICML workshop on challenges in representation learning): all target examples count, and labels are made
    anew in each step. What they count rises from 0 to ``weight``, here between a fifth of the training and 0.7 of it.

    Args:
        weight: What pseudo-labels count beside the source's labels at last, 0 or more; Lee's is 3.
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_not_negative("weight", self.weight)


def _term(method: DANN | DeepCoral | PseudoLabels, width: int, seed: int) -> tuple[_Term, keras.Model | None]:
    """What a method adds to the loss, and the domain classifier, if it has one."""
    if isinstance(method, DeepCoral):

        def distance(features: Any, others: Any, _: Any, __: Any) -> tuple[Any, Any]:
            loss = coral_loss(features, others)
            return loss, method.weight * loss

        return distance, None
    if isinstance(method, PseudoLabels):

        def own_labels(_: Any, __: Any, logits: Any, progress: Any) -> tuple[Any, Any]:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.argmax(logits, axis=1), logits))
            ramp = tf.clip_by_value((progress - BEGIN) / (FULL - BEGIN), 0.0, 1.0)
            return loss, method.weight * ramp * loss

        return own_labels, None
    tells = keras.Sequential([keras.Input((width,))], name="domain_classifier")
    starts = np.random.SeedSequence([seed, 2]).generate_state(2).tolist()
    for units, activation, start in ((method.hidden, "relu", starts[0]), (1, None, starts[1])):
        initial = keras.initializers.GlorotUniform(seed=start)
        tells.add(keras.layers.Dense(int(units), activation=activation, kernel_initializer=initial))

    def domain_loss(features: Any, others: Any, _: Any, progress: Any) -> tuple[Any, Any]:
        strength = method.weight * reversal_strength(progress)
        ours, theirs = (tells(reverse_gradient(x, strength), training=True) for x in (features, others))
        loss = (tf.reduce_mean(tf.nn.softplus(ours)) + tf.reduce_mean(tf.nn.softplus(-theirs))) / 2  # the target is 1
        return loss, loss

    return domain_loss, tells


def adapt(
    core: keras.Model,
    head: keras.Model,
    source: Split,
    target: Array,
    method: DANN | DeepCoral | PseudoLabels,
    *,
    epochs: int,
    learning_rate: float,
    validation: Split | None = None,
    options: FitOptions = DEFAULTS,
    **keywords: Unpack[FitKeywords],
) -> pd.DataFrame:
    """Train on the source's labels and the target's examples; ``core`` and ``head`` come out trained.

    Each step takes a batch of both, and adds the method's term to the source's cross-entropy. With a method's
    ``weight=0`` a CPU gives the weights of :func:`tlkit.training.fit` on the source alone, bit for bit.

    Where BatchNorm learns, each batch is normalised by its own mean and variance, and the moving statistics follow the
    source. :func:`adapt_batchnorm` gives the trained model those of the target: call it before you score the target.

    Args:
        core: From examples to features ``(n, h, w, c)`` or ``(n, c)``. If all of it is frozen, the head alone learns.
        head: From features to logits.
        source: Labelled examples as ``core`` takes them; ``target``, an array, has no labels.
        method: :class:`DANN`, :class:`DeepCoral` or :class:`PseudoLabels`.
        epochs: Passes over ``source``, 1 or more.
        learning_rate: Step size, above 0.
        validation: Labelled examples of the *source*, scored after each epoch.
        options: How to train; keywords replace single ones (:class:`tlkit.training.FitOptions`).

    Returns:
        The history of :func:`tlkit.training.fit` on the source. Its column ``alignment`` has, on training rows, the
        domain classifier's cross-entropy (nats; 0.69 is a guess), :func:`coral_loss`, or the cross-entropy of the
        pseudo-labels (nats), without its weight.

    Raises:
        ValueError: As from :func:`tlkit.training.fit`; ``target`` is a Split, or there is nothing to align.
        FloatingPointError: As from :func:`tlkit.training.fit`.
    """
    options = replace(options, **keywords)
    model = join(core, head)
    if not isinstance(method, (DANN, DeepCoral, PseudoLabels)):
        raise ValueError(f"method must be a DANN, DeepCoral or PseudoLabels, got {one_line(repr(method), 80)}.")
    if not core.trainable_weights and not isinstance(method, PseudoLabels):
        raise ValueError(f"core must have a weight that learns, got {core.name!r}: coral moves frozen features.")
    check_split("source", source)
    examples = _unlabelled(model, target)
    features = core.outputs[0]  # a sequential model has no core.output before it is called
    if len(features.shape) == 4:  # pooled as in a head
        features = keras.layers.GlobalAveragePooling2D()(features)
    if len(features.shape) != 2:
        raise ValueError(f"core must end in a map (n, h, w, c) or in vectors (n, c), got {core.output_shape}.")
    both = keras.Model(core.inputs[0], [features, model.output])
    added, classifier = _term(method, features.shape[1], options.seed)
    taken: list[PairSteps] = []

    def steps(compiled: keras.Model) -> PairSteps:
        taken.append(
            PairSteps(compiled, both, examples, added, classifier, -(-len(source) // options.batch_size), epochs)
        )
        return taken[0]

    history = fit_by_steps(model, source, validation, epochs, learning_rate, options, steps)
    history["alignment"] = history["epoch"].map(taken[0].alignment).where(history["split"] == "train")
    return history


def tent(
    model: keras.Model,
    target: Array,
    *,
    learning_rate: float,
    epochs: int = 1,
    options: FitOptions = DEFAULTS,
    **keywords: Unpack[FitKeywords],
) -> pd.DataFrame:
    """Tent: at test time, lower the entropy of the answers; only BatchNorm's scales and shifts learn.

    Wang et al., 2021, arXiv:2006.10726. No source example is needed. Each batch is normalised by its own mean and
    variance; at the end the layers get those of the target (:func:`adapt_batchnorm`), so that the model answers for
    single examples, too: the paper's offline form. It works in place, on frozen layers too; flags stay as they were.

    Args:
        model: From examples to logits, with one BatchNorm layer or more.
        target: Unlabelled test examples, as the model takes them, 2 or more.
        learning_rate: Step size, above 0.
        epochs: Passes over the target, 1 or more.
        options: How to train; keywords replace single ones (:class:`tlkit.training.FitOptions`).

    Returns:
        A row per epoch: ``epoch`` and ``entropy``, the mean over the target while the weights were changing, in nats.

    Raises:
        ValueError, FloatingPointError: As from :func:`adapt_batchnorm` and :func:`tlkit.training.fit`.
    """
    _, examples = _batchnorms(model, target)
    with only_learning(model, is_batchnorm):
        history = fit_by_steps(model, examples, None, epochs, learning_rate, replace(options, **keywords), EntropySteps)
    adapt_batchnorm(model, target)
    return history[["epoch", "loss"]].rename(columns={"loss": "entropy"})
