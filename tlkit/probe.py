"""The linear probe: logistic regression on features, the measure of a frozen representation and a head for it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tlkit._keras import keras
from tlkit.domains import Array, Split, check_count, check_list, check_split
from tlkit.features import check_shape, pool_features

__all__ = ["few_shot_curve", "fit_probe", "linear_probe", "logistic_regression", "probe_classes"]


def logistic_regression(train: Split) -> tuple[Array, Array]:
    """Logits as an affine map of pooled features (or raw pixels): multinomial logistic regression (scikit-learn, L2).

    Features are centred and divided by one number, their root mean variance, so that the penalty (C = 1) means the same
    for every representation; to standardise each feature would cost raw pixels of mnist 4 points at 100 labels
    (measured on the choosing slice), and make that baseline weak. The result is for features as they come.

    Returns:
        Kernel ``(d, n_classes)`` and bias ``(n_classes,)``, ``n_classes`` being the number of different labels.

    Raises:
        ValueError: The labels are not 0..n_classes-1, each at least once, of two classes or more.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    labels = np.unique(train.y)
    if len(labels) < 2 or labels[-1] != len(labels) - 1:
        raise ValueError(f"labels must be 0..n-1, each at least once, of two classes or more, got {labels.tolist()}.")
    x = pool_features(train)
    centre = x.mean(axis=0)
    scale = float(np.sqrt(np.mean((x - centre) ** 2))) or 1.0
    # One thread: on matrices this small several threads spend their time waiting for each other.
    with threadpool_limits(1), warnings.catch_warnings():
        # With one label of each of more than 20 classes scikit-learn suspects a regression.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        probe = LogisticRegression(max_iter=2000).fit((x - centre) / scale, train.y)
    coefficients, intercept = probe.coef_, probe.intercept_
    if len(labels) == 2:  # scikit-learn gives the difference of the two logits
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    kernel = coefficients.T / scale
    return kernel, intercept - centre @ kernel


def fit_probe(head: keras.Model, train: Split) -> None:
    """Set a head without hidden layers to the logistic regression on ``train``: no learning rate, one optimum.

    A good start for fine-tuning (linear probing first; Kumar et al., 2022, arXiv:2202.10054), and the same classifier
    that :func:`linear_probe` scores baselines with.

    Args:
        head: From :func:`tlkit.heads.build_head` without hidden layers.
        train: Features as the head takes them, such as :func:`tlkit.features.cache_features` gives at the last stage.

    Raises:
        ValueError: The head has hidden layers or another number of classes, or the labels leave a class out.
    """
    check_shape(head, train)
    dense = [layer for layer in head.layers if isinstance(layer, keras.layers.Dense)]
    if len(dense) != 1:
        raise ValueError(f"a probe must be a head with one dense layer, got {len(dense)}.")
    kernel, bias = logistic_regression(train)
    if kernel.shape[1] != head.output_shape[-1]:
        raise ValueError(f"labels must cover the {head.output_shape[-1]} classes of the head, got {kernel.shape[1]}.")
    dense[0].set_weights([kernel, bias])


def probe_classes(train: Split, test: Split) -> Array:
    """What a linear probe on ``train`` answers for ``test``: classes ``(n,)``.

    Features are pooled, images that are given as they are, are read as raw pixels (:func:`logistic_regression`, also
    for errors); texts as the TF-IDF of their word pieces. These keep punctuation and smileys; at 100 labels they are as
    good as words on all four bundled text domains (measured: 0.01 below to 0.02 above, five draws). Vocabulary and
    document counts come from ``train``.
    """
    check_split("train", train)
    check_split("test", test)
    if not train.is_text:
        kernel, bias = logistic_regression(train)
        return np.asarray((pool_features(test) @ kernel + bias).argmax(axis=1))
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    def written(split: Split) -> list[str]:
        return [" ".join(str(token) for token in ids if token) for ids in split.x.tolist()]

    vectors = TfidfVectorizer(token_pattern=r"\S+", sublinear_tf=True)
    probe = make_pipeline(vectors, LogisticRegression(max_iter=2000)).fit(written(train), train.y)
    return np.asarray(probe.predict(written(test)))


def linear_probe(train: Split, test: Split) -> float:
    """Test accuracy, 0..1, of a logistic regression (scikit-learn, L2, C = 1) on pooled features or raw input.

    The usual measure of how good a frozen representation is (Alain & Bengio, 2016, arXiv:1610.01644). See
    :func:`probe_classes`, also for errors.
    """
    return float(np.mean(probe_classes(train, test) == test.y))


def few_shot_curve(
    representations: Mapping[str, tuple[Split, Split]],
    *,
    per_class: Sequence[int] = (1, 2, 5, 10, 20, 50),
    seeds: int | Sequence[int] = 5,
) -> pd.DataFrame:
    """Accuracy of a linear probe against the number of labels, for several representations of the same images.

    For one seed, all representations learn from the same images.

    Args:
        representations: A name for each pair of splits ``(train pool, test)``, such as cached features or raw images.
        per_class: Labels per class to try.
        seeds: The draws of those labels: how many, or which.

    Returns:
        One row per representation, number and seed: ``method``, ``per_class``, ``labels`` (in all), ``seed``,
        ``accuracy``.

    Raises:
        ValueError: A pool has too few examples of a class, or ``seeds`` is out of range.
    """
    if not hasattr(seeds, "__iter__"):
        check_count("seeds", seeds)
        seeds = range(seeds)
    check_list("per_class", per_class, "numbers")
    draws = [
        (method, k, seed, pool.take(k, seed=seed), test)
        for method, (pool, test) in representations.items()
        for k in per_class
        for seed in seeds
    ]
    rows = [(method, k, len(few), seed, linear_probe(few, test)) for method, k, seed, few, test in draws]
    return pd.DataFrame(rows, columns=["method", "per_class", "labels", "seed", "accuracy"])
