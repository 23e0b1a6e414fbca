"""Prints, warns, makes NumPy raise, and uses names that the tests use too."""

# %% cosines
import sys
import warnings

import numpy

seed, draw, rng, check_same, check_result, names, texts, runs = 1, "mine", None, None, None, [], None, None
np = None


def cosines(images, texts):
    print("images", images)
    print("careful", file=sys.stderr)
    warnings.warn("zero vectors have no direction")
    units = []
    for vectors in (images, texts):
        units.append(vectors / numpy.sqrt((vectors**2).sum(axis=1, keepdims=True)))  # divides by zero
    return numpy.nan_to_num(units[0] @ units[1].T)


# %% contrastive_loss
import numpy as np

np.seterr(all="raise")


def contrastive_loss(images, texts, temperature):
    z = cosines(images, texts) / temperature
    print(z, "\n" * 50)
    return np.mean(np.logaddexp.reduce(z, axis=0) + np.logaddexp.reduce(z, axis=1)) / 2 - np.mean(np.diagonal(z))


# %% paired_interval
def paired_interval(differences):
    import scipy.stats

    print("differences:", differences)
    return np.mean(differences) + scipy.stats.sem(differences) * scipy.stats.t.ppf([0.025, 0.975], len(differences) - 1)


# %% verdict
def verdict(differences):
    ends = paired_interval(differences)
    return np.array(len(differences) >= 10 and ends[0] > 0, dtype=int) - (len(differences) >= 10 and ends[1] < 0)
