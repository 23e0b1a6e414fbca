"""Prints, warns, makes NumPy raise, and uses names that the tests use too."""

# %% softmax
import sys
import warnings

import numpy

np.seterr(all="raise")
seed, draw, rng, oracle, check_same, check_example = 1, "mine", None, None, None, None
np = None


def softmax(Z):
    print("softmax of", Z.shape)
    print("careful", file=sys.stderr)
    warnings.warn("this may overflow")
    powers = numpy.exp(Z - Z.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


# %% cross_entropy
import numpy as np


def cross_entropy(Z, Y):
    largest = np.max(Z, axis=1, keepdims=True)
    1 / np.zeros(1)  # a division by zero that hurts nobody
    return np.mean(largest[:, 0] + np.log(np.exp(Z - largest).sum(axis=1)) - (Y * Z).sum(axis=1))
