"""Prints, warns, makes NumPy raise, and uses names that the tests use too."""

# %% nt_xent
import sys
import warnings

import numpy

seed, draw, rng, oracle, check_same, example, losses = 1, "mine", None, None, None, None, []
np = None


def nt_xent(a, b, temperature):
    print("the views have the shapes", a.shape, b.shape)
    print("careful", file=sys.stderr)
    warnings.warn("this may overflow")
    views = numpy.concatenate([a, b])
    views = views / numpy.linalg.norm(views, axis=1, keepdims=True)
    logits = views @ views.T / temperature
    numpy.fill_diagonal(logits, -numpy.inf)
    largest = logits.max(axis=1)
    own = numpy.roll(numpy.eye(len(views), dtype=bool), len(a), axis=1)
    return (largest + numpy.log(numpy.exp(logits - largest[:, None]).sum(axis=1)) - logits[own]).mean()


# %% reversal_strength
import numpy as np

np.seterr(all="raise")


def reversal_strength(p):
    1 / np.zeros(1)  # a division by zero that hurts nobody
    return 2 / (1 + np.exp(-10 * p)) - 1
