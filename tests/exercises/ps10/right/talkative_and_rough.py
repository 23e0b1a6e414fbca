"""Prints, warns, makes NumPy raise, and uses names that the tests use too."""

# %% leaked
import sys
import warnings

import numpy

seed, draw, rng, who, check_same, check_result, names = 1, "mine", None, None, None, None, []
np = None


def leaked(speakers, train, test):
    print("speakers", speakers)
    print("careful", file=sys.stderr)
    warnings.warn("this may leak")
    return numpy.isin(speakers[test], speakers[train]).mean()


# %% two_splits
import numpy as np

np.seterr(all="raise")


def two_splits(speakers, tested, n_train, seed):
    np.random.seed(seed)
    print("tested:", tested)
    own = np.random.permutation(np.flatnonzero(np.isin(speakers, tested)))
    others = np.random.permutation(np.flatnonzero(~np.isin(speakers, tested)))
    test = own[: len(own) // 2]
    return (
        test,
        others[:n_train],
        np.random.choice(np.setdiff1d(np.arange(len(speakers)), test), n_train, replace=False),
    )


# %% decibels
def decibels(power, floor):
    levels = 10 * np.log10(power / power.max())  # divides by zero, and takes the logarithm of it
    return np.where(np.isnan(levels), floor, np.maximum(levels, floor))


# %% mend
def mend(risks, outcomes, weights, new_risks):
    errors = risks - outcomes
    level = np.sum(weights * errors) / np.sum(weights)
    s = np.linalg.norm(weights * (errors - level)) / np.sum(weights)
    print(level, "+-", 1.96 * s, "\n" * 50)
    return shift_level(risks, outcomes, weights, new_risks) if not -1.96 * s <= level <= 1.96 * s else new_risks
