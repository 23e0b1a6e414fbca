"""Transferability: how well a backbone suits a target, said before anything is trained.

Each score is computed from one pass of the target's labelled examples through a frozen backbone; higher is better.
``log_me`` and ``h_score`` read features; ``leep`` and ``nce`` read what the source's own head answers, and need one.
A score ranks backbones on one target. It is no accuracy, and values for different targets do not compare.
"""

from __future__ import annotations

import numpy as np

from tlkit.domains import Array

__all__ = ["h_score", "leep", "log_me", "nce"]

# Rows of probabilities in half precision sum to 1 within this; logits and percentages do not.
_SUM_TOLERANCE = 1e-3


def log_me(features: Array, labels: Array) -> float:
    """LogME: the log evidence for the labels under a Bayesian linear model of the features, at its maximum.

    From You et al., 2021, arXiv:2102.11005. Each class is a regression of its 0/1 indicator on the features: weights
    are drawn from N(0, 1/alpha), noise from N(0, 1/beta), there is no intercept. With the weights integrated out, alpha
    and beta are set to what makes the labels most likely, so that nothing is tuned and many features cost what they
    should. The best beta for a ratio alpha/beta is known in closed form; the ratio is searched (a grid, then Brent's
    method), since the paper's iteration runs off to infinity where features explain next to nothing.

    Rotating the features or multiplying all of them by one number changes nothing; shifting them does.

    Args:
        features: ``(n, d)``, finite, such as :func:`tlkit.features.pool_features` gives.
        labels: ``(n,)`` integers, two classes or more.

    Returns:
        Nats an example, averaged over the classes. It is the log of a density, so it may be above 0. Useless features
        give its least value, the mean over classes of ``-(log(2 pi p) + 1) / 2``, ``p`` being the share of a class.

    Raises:
        TypeError: ``labels`` are not integers, or ``features`` no numbers.
        ValueError: Another shape, different lengths, NaN or infinite features, a single class; or features of a lower
            rank than there are examples that fit the labels without error: the evidence then grows without end as the
            noise vanishes. One example that stands there twice does that, where features outnumber examples.
    """
    from scipy.optimize import minimize_scalar

    x = _checked_features(features)
    y = _checked_labels(labels, len(x), "features")
    n, counts = len(x), np.bincount(y)
    onehot = np.eye(y.max() + 1)[y]  # (n, n_classes)
    left, singular, _ = np.linalg.svd(x, full_matrices=False)
    used = singular > _rounding(x) * singular[0]
    without_features = -0.5 * n * np.log(counts / n)  # what alpha/beta to infinity comes to
    constant = -0.5 * float(np.log(2 * np.pi) + 1)
    if not used.any():
        return float(without_features.mean()) / n + constant
    left, squares = left[:, used], singular[used] ** 2
    explained = (left.T @ onehot) ** 2  # (rank, n_classes): what each direction holds of each indicator's square norm
    # Computed as a vector first: the difference of two square norms would be lost in rounding.
    unexplained = ((onehot - left @ (left.T @ onehot)) ** 2).sum(axis=0)
    unexplained[unexplained < _rounding(x) ** 2 * n] = 0
    if len(squares) < n and not unexplained.all():
        raise ValueError(
            f"labels must not follow from the features without error (the evidence then has no maximum: are examples "
            f"given twice?), got features of rank {len(squares)} that do, with {n} examples."
        )
    if len(squares) == n:
        unexplained[:] = 0

    def evidence(log_ratio: Array, label: int) -> Array:
        """Log evidence of one class at each log(alpha/beta), the best beta put in, without its constant."""
        gain = squares / np.exp(log_ratio)[:, None]
        noise = (explained[:, label] / (1 + gain)).sum(axis=1) + unexplained[label]
        found: Array = -0.5 * (n * np.log(noise / n) + np.log1p(gain).sum(axis=1))
        return found

    # Below its least square singular value times what is unexplained, and above the largest times n, nothing happens.
    grid = np.linspace(np.log(squares.min()) - 75, np.log(squares.max() * n) + 15, 500)
    best = []
    for label in range(len(counts)):
        values = evidence(grid, label)
        top = int(values.argmax())
        bounds = (grid[max(top - 1, 0)], grid[min(top + 1, len(grid) - 1)])
        refined = minimize_scalar(
            lambda ratio, label=label: -evidence(np.array([ratio]), label)[0], bounds=bounds, method="bounded"
        )
        best.append(max(without_features[label], values[top], -refined.fun))
    return float(np.mean(best)) / n + constant


def h_score(features: Array, labels: Array, *, shrinkage: bool = False) -> float:
    """H-score: how much of the features' variance, measured in their own covariance, lies between the classes.

    The trace of ``inverse(cov(f)) @ cov(E[f | y])`` (Bao et al., 2019, "An information-theoretic approach to
    transferability in task transfer learning", ICIP). It does not change under any invertible affine map of the
    features. With as many features as examples, or more, the covariance explains every labelling: the plain score then
    says little (``n_classes - 1`` for features in general position, whatever they are). ``shrinkage`` pulls the
    covariance towards a multiple of the identity by as much as Ledoit and Wolf's formula finds right (Ibrahim et al.,
    2021, arXiv:2110.06893; scikit-learn), and scales the covariance of the class means with it.

    Args:
        features: ``(n, d)``, finite.
        labels: ``(n,)`` integers, two classes or more.
        shrinkage: Shrink the covariance; advised unless there are many times more examples than features.

    Returns:
        A pure number from 0 (all class means are equal) to the lesser of ``d`` and ``n_classes - 1`` (the features say
        the class without error).

    Raises:
        TypeError: ``labels`` are not integers, or ``features`` no numbers.
        ValueError: Another shape, different lengths, NaN or infinite features, a single class.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    x = _checked_features(features)
    y = _checked_labels(labels, len(x), "features")
    centred = x - x.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    # Judged by the size of the features as given: constant ones leave nothing but rounding when centred.
    used = singular > _rounding(x) * np.linalg.norm(x)
    left, variances = left[:, used], singular[used] ** 2 / len(x)
    # In the basis of the covariance's eigenvectors the trace is a sum over directions.
    sums = np.eye(y.max() + 1)[y].T @ left  # (n_classes, rank)
    between = (sums**2 / np.bincount(y)[:, None]).sum(axis=0)  # share of each direction's variance, 0..1
    if shrinkage and used.any():
        share = float(ledoit_wolf_shrinkage(centred, assume_centered=True))
        kept = (1 - share) * variances
        between *= kept / (kept + share * variances.sum() / x.shape[1])
    return float(between.sum())


def leep(probabilities: Array, labels: Array) -> float:
    """LEEP: mean log likelihood of the labels, read through the source head's probabilities.

    From Nguyen et al., 2020, arXiv:2002.12462. The joint distribution of source class ``z`` and target class ``y`` is
    counted with soft counts; then ``y`` is predicted by drawing ``z`` from the head and ``y`` from ``P(y | z)``.

    Args:
        probabilities: ``(n, n_source_classes)``: the softmax of the source head on the target's examples. Each row
            sums to 1 (within 0.001; it is then made exact).
        labels: ``(n,)`` integers, two target classes or more.

    Returns:
        Nats an example, from minus the entropy of the labels (the head says the same of every example) to 0 (the source
        class says the target class). With probabilities of 0 and 1 it equals :func:`nce`.

    Raises:
        TypeError: ``labels`` are not integers, or ``probabilities`` no numbers.
        ValueError: Another shape, different lengths, NaN, rows that are no probabilities, a single class.
    """
    theta = _checked_matrix(probabilities, "probabilities")
    y = _checked_labels(labels, len(theta), "probabilities")
    sums = theta.sum(axis=1)
    if theta.min() < 0:
        raise ValueError(f"probabilities must be in 0..1, got {theta.min():.4g}.")
    worst = sums[np.abs(sums - 1).argmax()]
    if abs(worst - 1) > _SUM_TOLERANCE:
        raise ValueError(f"probabilities must sum to 1 in each row, got a row that sums to {worst:.4g}.")
    theta = theta / sums[:, None]
    joint = np.eye(y.max() + 1)[y].T @ theta / len(y)  # P(y, z): (n_classes, n_source_classes)
    known = joint.sum(axis=0) > 0  # a source class that is never given has no P(y | z), and none is asked for
    conditional = joint[:, known] / joint[:, known].sum(axis=0)
    likelihood = (theta[:, known] * conditional[y]).sum(axis=1)
    return min(0.0, float(np.log(likelihood).mean()))  # rounding may leave it a hair above 0


def nce(source_labels: Array, labels: Array) -> float:
    """Negative conditional entropy of the target's labels, given a source class for each example.

    From Tran et al., 2019, arXiv:1908.08142. The source class is what the source head answers, its argmax, or a true
    label where the same examples have both.

    Args:
        source_labels: ``(n,)`` integers.
        labels: ``(n,)`` integers, two target classes or more.

    Returns:
        Nats an example, from minus the entropy of the labels (the source class says nothing) to 0 (it says the target
        class). Few examples for many source classes push it towards 0: each pair of classes is counted.

    Raises:
        TypeError: Labels that are not integers.
        ValueError: Another shape, different lengths, a single target class.
    """
    from scipy.stats import entropy

    z = _as_labels(source_labels, "source_labels")
    y = _checked_labels(labels, len(z), "source_labels")
    joint = np.zeros((z.max() + 1, y.max() + 1))
    np.add.at(joint, (z, y), 1 / len(y))
    # H(Y | Z) is the sum over z of P(z) H(Y | Z = z); scipy makes each row sum to 1.
    return 0.0 - float(joint.sum(axis=1) @ entropy(joint, axis=1))


def _rounding(x: Array) -> float:
    """The relative size below which a singular value of ``x`` is rounding, as NumPy's ``matrix_rank`` has it."""
    return float(max(x.shape) * np.finfo(np.float64).eps)


def _checked_matrix(matrix: Array, name: str) -> Array:
    """``matrix`` as float64, once it is a finite ``(n, d)``."""
    array = np.asarray(matrix)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be numbers, got {array.dtype}.")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name} must have shape (n, d), one row per example, got {array.shape}.")
    x: Array = array.astype(np.float64)
    if not np.isfinite(x).all():
        raise ValueError(f"{name} must be finite, got NaN or infinite values.")
    return x


def _checked_features(features: Array) -> Array:
    """Features as float64, divided by the largest, which no score depends on, so that their squares are finite."""
    x = _checked_matrix(features, "features")
    largest = float(np.abs(x).max())
    return x / largest if largest > 0 else x


def _as_labels(labels: Array, name: str) -> Array:
    """Labels as 0..n_classes-1, in the order of their values."""
    array = np.asarray(labels)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"{name} must have shape (n,), got {array.shape}.")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got {array.dtype}.")
    numbered: Array = np.unique(array, return_inverse=True)[1]
    return numbered


def _checked_labels(labels: Array, n: int, of: str) -> Array:
    y = _as_labels(labels, "labels")
    if len(y) != n:
        raise ValueError(f"{of} and labels must have the same length, got {n} and {len(y)}.")
    if y.max() == 0:
        raise ValueError(f"labels must be of two classes or more, got one, {np.asarray(labels)[0]}.")
    return y
