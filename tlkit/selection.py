"""Choosing a model for a target without its labels: scores that read what the model answers there, or its features.

Each takes arrays, so that a score can be worked out for any model. A score ranks the models of one target; it is no
accuracy. How far the choice falls behind one by target labels, notebook 15 measures.
"""

from __future__ import annotations

import numpy as np

from tlkit.domains import Array, check_count, check_rate
from tlkit.features import feature_pair

__all__ = [
    "importance_weighted_accuracy",
    "importance_weights",
    "mean_entropy",
    "soft_neighborhood_density",
    "told_apart",
]

_SUM_TOLERANCE = 1e-3  # rows of probabilities in half precision sum to 1 within this; logits do not


def _probabilities(given: Array) -> Array:
    p = np.asarray(given, np.float64)
    if p.ndim != 2 or len(p) < 1 or p.shape[1] < 2:
        raise ValueError(f"probabilities must have shape (n, classes), two classes or more, got {p.shape}.")
    if not (np.isfinite(p).all() and (p >= 0).all() and (abs(p.sum(axis=1) - 1) <= _SUM_TOLERANCE).all()):
        raise ValueError("probabilities must be 0 or more and sum to 1 for each example, got others: are these logits?")
    return p


def _entropy(p: Array) -> Array:
    """The entropy of each row, in nats; a probability of 0 adds nothing."""
    terms = np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0)
    return np.asarray(-terms.sum(axis=1))


def mean_entropy(probabilities: Array) -> float:
    """How undecided a model is on the target: the mean entropy of its answers. Lower is taken for better.

    Used for choosing by Morerio et al., 2018, arXiv:1711.10288. A model that gives every example the same class with
    certainty has the best score there is, 0.

    Args:
        probabilities: ``(n, classes)`` on unlabelled target examples (:func:`tlkit.evaluation.predict_probabilities`).

    Returns:
        Nats, from 0 to the logarithm of the number of classes.

    Raises:
        ValueError: Another shape, or rows that are no probabilities.
    """
    return float(_entropy(_probabilities(probabilities)).mean())


def soft_neighborhood_density(probabilities: Array, *, temperature: float = 0.05) -> float:
    """How many neighbours each target example has among the others, softly counted. Higher is taken for better.

    Saito et al., 2021, arXiv:2108.10860: answers are scaled to length 1, their inner products are divided by the
    temperature, and a softmax over the other examples gives the chance to be an example's neighbour. The score is the
    mean entropy of that. Answers that form dense groups have many neighbours each. So have answers that are all alike.

    Args:
        probabilities: ``(n, classes)`` on unlabelled target examples, 3 or more. Memory grows with ``n`` squared.
        temperature: Above 0; the paper's is 0.05.

    Returns:
        Nats, from 0 to the logarithm of ``n - 1``: compare models on the same examples.

    Raises:
        ValueError: Another shape, rows that are no probabilities, or ``temperature`` is not above 0.
    """
    p = _probabilities(probabilities)
    if len(p) < 3:
        raise ValueError(f"probabilities must be of 3 examples or more, got {len(p)}.")
    check_rate("temperature", temperature)
    directions = p / np.linalg.norm(p, axis=1, keepdims=True)
    likeness = directions @ directions.T / temperature
    np.fill_diagonal(likeness, -np.inf)  # no example is its own neighbour
    chances = np.exp(likeness - likeness.max(axis=1, keepdims=True))
    return float(_entropy(chances / chances.sum(axis=1, keepdims=True)).mean())


def importance_weights(source: Array, target: Array) -> Array:
    """How much more often the target has examples like each one of the source: the ratio of densities.

    A logistic regression tells source from target; its odds, times the ratio of the numbers of examples, estimate
    ``p_target(x) / p_source(x)`` (Bickel, Brückner & Scheffer, 2007). Features are standardised first. Where the
    domains can be told apart without error, the weights say nothing: nearly all are 0.

    Args:
        source: Features ``(n, d)``, from which the ratio is learned and for which it is given.
        target: Features ``(m, d)`` of unlabelled target examples.

    Returns:
        Weights ``(n,)``, 0 or more, about 1 in the mean.

    Raises:
        ValueError: Another shape, features that are not finite, or no example.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    parts = feature_pair(source, target)
    x = _standardised(np.concatenate(parts))
    n, m = map(len, parts)
    with threadpool_limits(1):  # on matrices this small several threads wait for each other
        tells = LogisticRegression(max_iter=2000).fit(x, np.repeat([0, 1], [n, m]))
    return np.asarray(np.exp(tells.decision_function(x[:n])) * n / m)


def told_apart(source: Array, target: Array, *, directions: int | None = None) -> float:
    """How well a classifier tells source and target apart that was fitted on other examples of both.

    A logistic regression is fitted on three quarters of the features and asked about the fourth, four times. With ε for
    its error, 2 (1 - 2ε) is the proxy A-distance of two domains (Ben-David et al., 2007), by which Ganin et al. (2016)
    show what DANN does. Features are standardised first.

    Args:
        source: Features ``(n, d)``, 2 examples or more; with fewer than four there are as many parts as examples.
        target: Features ``(m, d)`` of unlabelled target examples, 2 or more.
        directions: Look only at so many directions in which the features of both together spread most (PCA); by default
            at all features.

    Returns:
        The mean of the right shares of both domains, 0..1. A guess has one half, however many examples each has.

    Raises:
        ValueError: Another shape, features that are not finite, fewer than 2 examples, or ``directions`` below 1.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score
    from threadpoolctl import threadpool_limits

    parts = feature_pair(source, target)
    n, m = map(len, parts)
    if min(n, m) < 2:
        raise ValueError(f"source and target must have 2 examples or more, got {n} and {m}.")
    x = np.concatenate(parts)
    tells = LogisticRegression(max_iter=2000, class_weight="balanced")
    with threadpool_limits(1), np.errstate(invalid="ignore"):  # threads as above; examples may all be alike
        if directions is not None:
            check_count("directions", directions)
            x = PCA(min(directions, *x.shape), random_state=0).fit_transform(x)
        domain, folds = np.repeat([0, 1], [n, m]), min(4, n, m)
        scores = cross_val_score(tells, _standardised(x), domain, cv=folds, scoring="balanced_accuracy")
    return float(scores.mean())


def _standardised(x: Array) -> Array:
    """Each column with mean 0 and spread 1; a constant one is 0."""
    spread = x.std(axis=0)
    scaled: Array = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return scaled


def importance_weighted_accuracy(labels: Array, predictions: Array, weights: Array) -> float:
    """The accuracy on source examples, each counted as often as the target has its like. Higher is better.

    Importance-weighted validation (Sugiyama, Krauledat & Müller, 2007): under covariate shift its expectation is the
    accuracy on the target. The sum is divided by that of the weights, which costs little bias and much variance less.

    Args:
        labels: The *source's* labels ``(n,)``, integers.
        predictions: Classes ``(n,)`` (:func:`tlkit.evaluation.predict_classes`).
        weights: ``(n,)``, 0 or more, not all 0 (:func:`importance_weights`).

    Returns:
        0..1. With equal weights it is the accuracy.

    Raises:
        ValueError: Shapes differ, or weights are below 0, not finite, or all 0.
    """
    y, given, w = np.asarray(labels), np.asarray(predictions), np.asarray(weights, np.float64)
    if y.ndim != 1 or not len(y) or not y.shape == given.shape == w.shape:
        raise ValueError(
            f"labels, predictions and weights must have one shape (n,), got {y.shape}, {given.shape} and {w.shape}."
        )
    if not np.isfinite(w).all() or w.min() < 0 or not w.sum():
        raise ValueError("weights must be finite, 0 or more and not all 0, got others.")
    return float(((y == given) * w).sum() / w.sum())
