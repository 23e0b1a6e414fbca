"""Pretraining without labels: the task is made from the examples themselves.

Four tasks, each of them the training step of :func:`tlkit.fit` with another loss: tell which two views show one image
(:func:`pretrain_contrastive`), tell how far an image was turned (:func:`pretrain_rotation`), name the words that were
hidden (:func:`pretrain_masked`), tell which caption belongs to an image (:func:`pretrain_captions`). None takes a
label. What is learned stays in the network; what answered the task, a head, is thrown away. Two towers are kept whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
import pandas as pd

from tlkit._keras import keras, tf
from tlkit._steps import OneDevice, TaskSteps
from tlkit.backbones import Backbone, check_backbone
from tlkit.backbones.graph import check_model
from tlkit.domains import Array, Split, check_count, check_rate, check_seed
from tlkit.features import check_shape, check_tokens
from tlkit.freezing import OneAtATime, freeze_to, unfreeze
from tlkit.heads import build_head, join
from tlkit.training import DEFAULTS, FitKeywords, FitOptions, fit_by_steps, take_steps
from tlkit.views import Views, check_images, draw_views, given_views

__all__ = [
    "mask_tokens",
    "nt_xent",
    "pretrain_captions",
    "pretrain_contrastive",
    "pretrain_masked",
    "pretrain_rotation",
    "rotation_split",
]

PAIRS = FitOptions(batch_size=256)  # each view has twice as many others to be told from, less the two of its pair
MASKED, REPLACED = 0.8, 0.1  # of the chosen tokens, as in BERT; the rest stay as they are
_NEVER = -1e9  # a logit that float32 turns into a probability of 0


# ------------------------------------------------------------------------------------- telling pairs from the others


def nt_xent(one: Any, two: Any, *, temperature: float = 0.5, across: bool = False) -> Any:
    """The normalised, temperature-scaled cross-entropy of pairs (Chen et al., 2020, arXiv:2002.05709, equation 1).

    Each of the 2n vectors asks: which of the 2n - 1 others is my partner? Its logits are the cosines to them over the
    temperature. The loss is the mean cross-entropy of the right answers. It depends on directions alone, not on the
    vectors' lengths, and is finite for any finite vectors.

    Args:
        one: ``(n, d)``, a vector of each example's first view, in any floating type.
        two: ``(n, d)``, of the second view, in the same order.
        temperature: Above 0. The smaller, the more the nearest of the others count.
        across: Ask only among the n vectors of the other side: images are compared with texts, and never with images.
            This is the loss of CLIP (Radford et al., 2021, arXiv:2103.00020, figure 3).

    Returns:
        A scalar ``float32`` tensor, nats: ``log(2n - 1)`` where all are alike (``across``: ``log(n)``), and about 0
        where each view has its partner's direction and the others are far at this temperature.

    Raises:
        ValueError: The shapes differ or are not ``(n, d)``, or ``temperature`` is out of range.
    """
    check_rate("temperature", temperature)
    one, two = tf.convert_to_tensor(one), tf.convert_to_tensor(two)
    if len(one.shape) != 2 or len(two.shape) != 2 or not one.shape.is_compatible_with(two.shape):
        raise ValueError(f"one and two must have one shape (n, d), got {tuple(one.shape)} and {tuple(two.shape)}.")
    logits, partner = _similarities(one, two, temperature, across=across)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(partner, logits))


def _similarities(one: Any, two: Any, temperature: float, *, across: bool = False) -> tuple[Any, Any]:
    """Logits ``(2n, 2n)``, in which nobody is its own partner, and where in its row each one's partner stands.

    ``across``: nor is anybody of its own side.
    """
    n = tf.shape(one)[0]
    both = tf.cast(tf.concat([one, two], axis=0), "float32")
    # By the largest number first: the square of a large one would be infinite, that of a small one 0.
    both = tf.math.divide_no_nan(both, tf.reduce_max(tf.abs(both), axis=1, keepdims=True))
    both = tf.math.l2_normalize(both, axis=1)
    logits = tf.matmul(both, both, transpose_b=True) / temperature
    place = tf.range(2 * n)
    who = tf.cast(place >= n, "int32") if across else place
    logits = tf.where(who[:, None] == who[None, :], _NEVER, logits)
    return logits, tf.concat([tf.range(n, 2 * n), tf.range(n)], axis=0)


def pretrain_contrastive(
    backbone: Backbone,
    images: Array,
    *,
    epochs: int,
    learning_rate: float = 1e-3,
    views: Views | None = None,
    temperature: float = 0.2,
    projection: Sequence[int] = (128, 64),
    options: FitOptions = PAIRS,
    **keywords: Unpack[FitKeywords],
) -> pd.DataFrame:
    """Train all of ``backbone`` to tell which views show the same image: SimCLR (Chen et al., 2020, arXiv:2002.05709).

    Two random views of each image of a batch go through the backbone and a projection head; :func:`nt_xent` compares
    them. The head is thrown away: features before it transfer better (section 4.2 there). BatchNorm learns, and sees
    all views of a batch together. Where SimCLR crops, colours and blurs photographs, :class:`Views` moves signs.

    Args:
        backbone: What to train; it ends in a feature map or in vectors. All its layers come out free.
        images: ``(n, h, w, c)`` ``uint8``, two or more, as the backbone takes them. No labels.
        epochs: Passes over the images, 1 or more.
        learning_rate: Step size, above 0.
        views: ``None`` is ``Views()``.
        temperature: Above 0.
        projection: Widths of the head's dense layers, each 2 or more; the last one is that of the compared vectors.
        options: How to train; batches of 256 images by default. ``strategy`` must be ``None``.
        keywords: Single options by name, in place of those of ``options``.

    Returns:
        The history as from :func:`tlkit.fit`: ``loss`` in nats, ``accuracy`` the share of views whose partner is the
        most similar of all the others.

    Raises:
        ValueError: An argument is out of range, or the backbone does not take the images.
        FloatingPointError, RuntimeError: As from :func:`tlkit.fit`.
    """
    options = replace(options, **keywords)
    _check_training(backbone, images, epochs, learning_rate, options)
    check_rate("temperature", temperature)
    if not projection or min(projection) < 2:
        raise ValueError(f"projection must be widths of 2 or more, got {tuple(projection)}.")
    *hidden, width = projection
    model = join(backbone.model, build_head(backbone, width, hidden=hidden, seed=options.seed))
    random, drawn = tf.random.Generator.from_seed(options.seed), given_views(views)

    def task(x: Any, _: Any) -> tuple[Any, Any, Any]:
        both = tf.concat([draw_views(x, drawn, random), draw_views(x, drawn, random)], axis=0)
        one, two = tf.split(model(both, training=True), 2)
        logits, partner = _similarities(one, two, temperature)
        return _judged(logits, partner, tf.ones_like(partner, "float32"))

    freeze_to(backbone, 0, train_batchnorm=True)
    return _take(model, task, _unlabelled(images), epochs, learning_rate, options)


def pretrain_captions(
    image_tower: keras.Model,
    text_tower: keras.Model,
    images: Array,
    texts: Array,
    *,
    epochs: int,
    learning_rate: float = 1e-3,
    temperature: float = 0.07,
    options: FitOptions = PAIRS,
    **keywords: Unpack[FitKeywords],
) -> pd.DataFrame:
    """Train two towers to tell which caption belongs to which image: CLIP (Radford et al., 2021, arXiv:2103.00020).

    In each step every concept of a batch shows one of its images and one of its captions, drawn at random;
    :func:`nt_xent` compares the two sides (``across=True``). What is frozen in a tower stays: with features of a frozen
    network as ``images`` this is LiT (Zhai et al., 2022, arXiv:2111.07991). CLIP also learns the temperature; here it
    is given.

    Args:
        image_tower: From ``(batch, ...)`` images or features to vectors ``(batch, d)``.
        text_tower: From ``(batch, ...)`` captions as numbers to vectors ``(batch, d)``.
        images: ``(views, n, ...)``: one or more images of each of n concepts, 2 or more, as the image tower takes them.
        texts: ``(captions, n, ...)``: one or more captions of the same n concepts.
        epochs: Passes over the concepts, 1 or more.
        learning_rate: Step size, above 0.
        temperature: Above 0.
        options: How to train; batches of 256 concepts by default. ``strategy`` must be ``None``.
        keywords: Single options by name, in place of those of ``options``.

    Returns:
        The history as from :func:`tlkit.fit`: ``loss`` in nats, ``accuracy`` the share of images and captions whose
        partner is the most similar of the batch.

    Raises:
        ValueError: An argument is out of range, or the numbers of concepts or the towers' widths differ.
        FloatingPointError, RuntimeError: As from :func:`tlkit.fit`.
    """
    options = replace(options, **keywords)
    _check_options(epochs, learning_rate, options)
    check_rate("temperature", temperature)
    n = _concepts(image_tower, text_tower, images, texts)
    both = keras.Model([image_tower.input, text_tower.input], [image_tower.output, text_tower.output])
    shown, said = tf.constant(images), tf.constant(texts)
    random = tf.random.Generator.from_seed(options.seed)

    def one_of(parts: Any, which: Any) -> Any:
        drawn = random.uniform(tf.shape(which), 0, tf.shape(parts)[0], dtype="int32")
        return tf.gather_nd(parts, tf.stack([drawn, which], axis=1))

    def task(x: Any, _: Any) -> tuple[Any, Any, Any]:
        one, two = both([one_of(shown, x[:, 0]), one_of(said, x[:, 0])], training=True)
        logits, partner = _similarities(one, two, temperature, across=True)
        return _judged(logits, partner, tf.ones_like(partner, "float32"))

    return _take(both, task, _unlabelled(np.arange(n, dtype=np.int32)[:, None]), epochs, learning_rate, options)


# ------------------------------------------------------------------------------------------------------- rotations


def rotation_split(images: Array) -> Split:
    """Each image in four positions, and the quarter turns it was given as its label (Gidaris et al., 2018).

    Args:
        images: ``(n, h, h, c)`` ``uint8``.

    Returns:
        4n images, all upright ones first; labels 0 to 3, quarter turns to the left.

    Raises:
        ValueError: The images are not square, or have another shape.
    """
    check_images(images)
    if images.shape[1] != images.shape[2]:
        raise ValueError(f"images must be square to be turned, got {images.shape[1]} × {images.shape[2]} pixels.")
    turned = [np.rot90(images, turns, axes=(1, 2)) for turns in range(4)]
    return Split(np.concatenate(turned), np.repeat(np.arange(4), len(images)))


def pretrain_rotation(
    backbone: Backbone,
    images: Array,
    *,
    epochs: int,
    learning_rate: float = 1e-3,
    options: FitOptions = DEFAULTS,
    **keywords: Unpack[FitKeywords],
) -> pd.DataFrame:
    """Train all of ``backbone`` to tell how far an image was turned (Gidaris et al., 2018, arXiv:1803.07728).

    It is :func:`tlkit.fit` on :func:`rotation_split`. The task asks where up is, so it says nothing of an image that
    looks the same when turned, such as an O.

    Args:
        backbone: What to train; it ends in a feature map or in vectors. All its layers come out free.
        images: ``(n, h, h, c)`` ``uint8``, two or more, as the backbone takes them. No labels.
        epochs: Passes over the images in all four positions, 1 or more.
        learning_rate: Step size, above 0.
        options: How to train.
        keywords: Single options by name, in place of those of ``options``.

    Returns:
        The history of :func:`tlkit.fit`; ``accuracy`` is 0.25 for a network that guesses.

    Raises:
        ValueError: An argument is out of range, the images are not square, or the backbone does not take them.
        FloatingPointError, RuntimeError: As from :func:`tlkit.fit`.
    """
    options = replace(options, **keywords)
    _check_training(backbone, images, epochs, learning_rate, options)
    split = rotation_split(images)
    model = join(backbone.model, build_head(backbone, 4, seed=options.seed))
    freeze_to(backbone, 0, train_batchnorm=True)
    return fit_by_steps(model, split, None, epochs, learning_rate, options, OneDevice)


# ---------------------------------------------------------------------------------------------------- hidden words


def mask_tokens(
    ids: Array, *, mask_id: int, vocabulary: int, share: float = 0.15, special: Sequence[int] = (), seed: int = 0
) -> tuple[Array, Array]:
    """Hide some words, as BERT's pretraining does (Devlin et al., 2019, arXiv:1810.04805, section 3.1).

    Each token is chosen with probability ``share``. Of the chosen, 80 % become ``mask_id``, 10 % become a random token
    and 10 % stay: so the network cannot rely on being told where it will be asked.

    Args:
        ids: ``(n, length)`` ``int32``; 0 is padding, which is never chosen.
        mask_id: The token that stands for a hidden word, in 1..vocabulary-1.
        vocabulary: Number of token ids, 2 or more.
        share: In (0, 1].
        special: Tokens that are never chosen, such as those that begin and end a sentence.
        seed: Makes the choice.

    Returns:
        The ids ``(n, length)`` with words hidden, and where the network is asked, ``(n, length)`` bool.

    Raises:
        ValueError: An argument is out of range.
    """
    _check_masking(ids, mask_id, vocabulary, share)
    check_seed(seed)
    random = tf.random.Generator.from_seed(seed)
    hidden, asked = _hide(tf.convert_to_tensor(ids), mask_id, vocabulary, share, special, random)
    return hidden.numpy(), asked.numpy()


def _hide(
    ids: Any, mask_id: int, vocabulary: int, share: float, special: Sequence[int], random: tf.random.Generator
) -> tuple[Any, Any]:
    """:func:`mask_tokens` on tensors, from a generator that moves on."""
    never = tf.reduce_any(tf.equal(ids[..., None], tf.constant([0, *special], ids.dtype)), axis=-1)
    shape = tf.shape(ids)
    asked = tf.logical_and(random.uniform(shape) < share, tf.logical_not(never))
    fate = random.uniform(shape)
    other = random.uniform(shape, 1, vocabulary, dtype=ids.dtype)
    shown = tf.where(fate < MASKED, tf.cast(mask_id, ids.dtype), tf.where(fate < MASKED + REPLACED, other, ids))
    return tf.where(asked, shown, ids), asked


def pretrain_masked(
    encoder: keras.Model,
    ids: Array,
    *,
    mask_id: int,
    epochs: int,
    learning_rate: float = 1e-3,
    share: float = 0.15,
    special: Sequence[int] = (),
    options: FitOptions = DEFAULTS,
    **keywords: Unpack[FitKeywords],
) -> pd.DataFrame:
    """Train all of ``encoder`` to name hidden words from those around them (Devlin et al., 2019, arXiv:1810.04805).

    :func:`mask_tokens` draws anew in each step. A dense layer turns each token's vector into one logit a word; it is
    thrown away at the end. The loss counts only the positions that were chosen. BERT's other task, whether two
    sentences follow one another, is left out, and its head has one layer more, which shares the table of words.

    Args:
        encoder: From :func:`tlkit.text.small_bert`: it embeds ids, and its last layer takes the mean of token vectors.
        ids: ``(n, length)`` ``int32``, 0 being padding. No labels.
        mask_id: See :func:`mask_tokens`, also for ``share`` and ``special``.
        epochs: Passes over the texts, 1 or more.
        learning_rate: Step size, above 0.
        options: How to train. ``strategy`` must be ``None``.
        keywords: Single options by name, in place of those of ``options``.

    Returns:
        The history as from :func:`tlkit.fit`: ``loss`` in nats and ``accuracy`` are those of the chosen positions.

    Raises:
        ValueError: An argument is out of range, ``encoder`` has another form or does not take the ids.
        FloatingPointError, RuntimeError: As from :func:`tlkit.fit`.
    """
    options = replace(options, **keywords)
    check_model(encoder)
    tables = [layer for layer in encoder.layers if isinstance(layer, keras.layers.Embedding)]
    vectors = encoder.layers[-1].input
    if not tables or len(vectors.shape) != 3:
        raise ValueError(f"encoder must embed ids and end in the mean of tokens, got {encoder.name!r}.")
    vocabulary = int(tables[0].input_dim)
    _check_masking(ids, mask_id, vocabulary, share)
    check_tokens(encoder, ids)
    _check_options(epochs, learning_rate, options)
    start = keras.initializers.GlorotUniform(seed=int(options.seed))
    words = keras.layers.Dense(vocabulary, kernel_initializer=start, name="words_out")
    model = keras.Model(encoder.input, words(vectors))
    random = tf.random.Generator.from_seed(options.seed)

    def task(x: Any, _: Any) -> tuple[Any, Any, Any]:
        hidden, asked = _hide(x, mask_id, vocabulary, share, special, random)
        return _judged(model(hidden, training=True), x, tf.cast(asked, "float32"))

    unfreeze(encoder)
    return _take(model, task, _unlabelled(ids), epochs, learning_rate, options)


# ----------------------------------------------------------------------------------------------- what they share


def _judged(logits: Any, wanted: Any, counts: Any) -> tuple[Any, Any, Any]:
    """Mean cross-entropy, share of right answers, and number of answers, over those that count (1, the others 0)."""
    logits = tf.cast(logits, "float32")
    answers = tf.reduce_sum(counts)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits)
    right = tf.cast(tf.equal(tf.argmax(logits, -1, wanted.dtype), wanted), "float32")
    return *(tf.math.divide_no_nan(tf.reduce_sum(each * counts), answers) for each in (losses, right)), answers


def _take(
    model: keras.Model, task: Any, train: Split, epochs: int, learning_rate: float, options: FitOptions
) -> pd.DataFrame:
    with OneAtATime(model.name, model.trainable_weights):
        return take_steps(model, lambda size: TaskSteps(model, task, size), train, None, epochs, learning_rate, options)


def _unlabelled(x: Array) -> Split:
    """A split needs labels; these say nothing."""
    return Split(x, np.zeros(len(x), int))


def _check_options(epochs: int, learning_rate: float, options: FitOptions) -> None:
    check_count("epochs", epochs)
    check_rate("learning_rate", learning_rate)
    if options.strategy is not None:
        raise ValueError(f"strategy must be None (pretraining runs on one device), got {options.strategy!r}.")


def _check_training(backbone: Backbone, images: Array, epochs: int, learning_rate: float, options: FitOptions) -> None:
    check_backbone(backbone)
    check_images(images)
    if len(images) < 2:
        raise ValueError(f"images must be 2 or more, got {len(images)}.")
    check_shape(backbone.model, _unlabelled(images))
    _check_options(epochs, learning_rate, options)


def _concepts(image_tower: keras.Model, text_tower: keras.Model, images: Array, texts: Array) -> int:
    """How many concepts ``images`` and ``texts`` both show."""
    check_model(image_tower)
    check_model(text_tower)
    for name, parts, tower in (("images", images, image_tower), ("texts", texts, text_tower)):
        wanted = tower.input_shape[1:]
        if np.ndim(parts) < 3 or len(parts) < 1 or np.shape(parts)[2:] != wanted:
            raise ValueError(f"{name} must have shape (1 or more, n, *{wanted}), got {np.shape(parts)}.")
    if len(images[0]) != len(texts[0]) or len(images[0]) < 2:
        raise ValueError(
            f"images and texts must show the same 2 or more concepts, got {len(images[0])} and {len(texts[0])}."
        )
    widths = image_tower.output_shape, text_tower.output_shape
    if len(widths[0]) != 2 or widths[0] != widths[1]:
        raise ValueError(f"both towers must end in vectors of one width, got {widths[0]} and {widths[1]}.")
    return len(images[0])


def _check_masking(ids: Array, mask_id: int, vocabulary: int, share: float) -> None:
    check_count("vocabulary", vocabulary, least=2)
    if np.ndim(ids) != 2 or np.asarray(ids).dtype != np.int32:
        raise ValueError(f"ids must be int32 of shape (n, length), got {np.asarray(ids).dtype} of {np.shape(ids)}.")
    if not 0 <= np.min(ids, initial=0) <= np.max(ids, initial=0) < vocabulary:
        raise ValueError(f"ids must be in 0..{vocabulary - 1}, got {np.min(ids)}..{np.max(ids)}.")
    if not 1 <= mask_id < vocabulary:
        raise ValueError(f"mask_id must be in 1..{vocabulary - 1}, got {mask_id}.")
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, got {share}.")
