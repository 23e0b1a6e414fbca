"""Images and text in one space: two towers, and what their cosines are worth.

An image tower and a text tower end in vectors of one width. :func:`tlkit.pretrain_captions` trains them so that an
image and its caption point the same way (Radford et al., 2021, arXiv:2103.00020). Then a caption that was typed a
moment ago finds images, and a list of names is a classifier without a label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from tlkit._keras import keras
from tlkit.backbones.graph import check_model
from tlkit.domains import Array, check_count, check_seed
from tlkit.words import one_line

__all__ = ["build_tower", "cosines", "letter_counts", "recall_at"]

_LONGEST = 1000  # letters of a text that are read
_PIECES = (1, 3)  # letters
_AT_ONCE = 512  # examples that go through a tower


def letter_counts(texts: Sequence[str], *, width: int = 2048) -> Array:
    """Texts as counts of their pieces of one to three letters: a tower's input that needs no words and no language.

    Each piece falls into one of ``width`` numbers by its hash (Weinberger et al., 2009, arXiv:0902.2206), so that no
    list of pieces has to be learned or kept. Pieces do not cross spaces; capitals count as small letters. A Chinese
    character is a letter.

    Args:
        texts: Anything; only the first 1,000 letters of each are read.
        width: How many numbers, 1 or more.

    Returns:
        ``(n, width)`` ``float32``, of length 1; zeros for a text without letters.

    Raises:
        ValueError: ``texts`` is one string or none, holds something else than strings, or ``width`` is out of range.
    """
    check_count("width", width)
    listed = [] if isinstance(texts, str) or not hasattr(texts, "__iter__") else list(texts)
    if not listed or not all(isinstance(text, str) for text in listed):
        raise ValueError(f"texts must be a list of strings, got {one_line(repr(texts), 80)}.")
    counts = HashingVectorizer(
        analyzer="char_wb", ngram_range=_PIECES, n_features=width, alternate_sign=False, dtype=np.float32
    )
    return np.asarray(counts.transform([text[:_LONGEST] for text in listed]).toarray())


def build_tower(
    examples: Array, *, width: int = 128, dropout: float = 0.0, standardise: bool = False, seed: int = 0
) -> keras.Model:
    """A tower on features: one dense layer, no more.

    Args:
        examples: Features ``(..., d)`` that the tower will see.
        width: Of the vectors in which it ends, 2 or more.
        dropout: Share of the features that a training step hides, 0 or more and below 1.
        standardise: Subtract the examples' mean from each feature, and divide by their deviation.
        seed: Makes the start weights and draws what is hidden.

    Returns:
        A model from ``(n, d)`` to ``(n, width)``.

    Raises:
        ValueError: ``width`` or ``dropout`` is out of range, or a feature is not finite.
    """
    check_count("width", width, least=2)
    check_seed(seed)
    seed = int(seed)  # Keras refuses NumPy's integers
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be 0 or more and below 1, got {dropout}.")
    examples = np.asarray(examples)
    if not examples.ndim or examples.dtype.kind not in "biuf":
        raise ValueError(f"examples must be numbers (..., d), got {examples.dtype} {examples.shape}.")
    rows = examples.reshape(-1, examples.shape[-1]).astype(np.float64)
    if not np.isfinite(rows).all():
        raise ValueError("examples must be finite, got NaN or infinite values.")
    features = keras.Input((rows.shape[1],))
    x: Any = features
    if standardise:
        x = keras.layers.Normalization(mean=rows.mean(axis=0), variance=rows.var(axis=0))(x)
    if dropout:
        x = keras.layers.Dropout(dropout, seed=seed)(x)
    return keras.Model(
        features, keras.layers.Dense(width, kernel_initializer=keras.initializers.GlorotUniform(seed=seed))(x)
    )


def cosines(image_tower: keras.Model, text_tower: keras.Model, images: Array, texts: Array) -> Array:
    """How alike each text and each image are, -1..1.

    Args:
        images: ``(n, ...)``, as the image tower takes them.
        texts: ``(m, ...)``, as the text tower takes them.

    Returns:
        ``(m, n)`` ``float32``: a row per text. A vector of length 0 has cosine 0.

    Raises:
        ValueError: A tower is no Keras model that is built.
    """
    vectors = []
    for tower, x in ((text_tower, texts), (image_tower, images)):
        check_model(tower)
        parts = [tower(x[i : i + _AT_ONCE], training=False) for i in range(0, len(x), _AT_ONCE)]
        found = np.concatenate([np.asarray(part, np.float32) for part in parts])
        vectors.append(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12))
    return np.asarray(vectors[0] @ vectors[1].T)


def recall_at(scores: Array, k: int) -> float:
    """The share of rows whose own column, that of the same number, is among the ``k`` highest; chance is k / n.

    A column with the same score counts as ahead of it, so that a constant finds nothing.

    Args:
        scores: ``(n, n)``, a row per question; transposed, the question is the other way round.
        k: In 1..n.

    Raises:
        ValueError: ``scores`` is no square, or ``k`` is out of range.
    """
    scores = np.asarray(scores)
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1] or not len(scores):
        raise ValueError(f"scores must be a square (n, n), got {scores.shape}.")
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite, got NaN or infinite values.")
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= len(scores):
        raise ValueError(f"k must be in 1..{len(scores)}, got {k}.")
    ahead = (scores >= np.diag(scores)[:, None]).sum(axis=1)  # itself included
    return float((ahead <= k).mean())
