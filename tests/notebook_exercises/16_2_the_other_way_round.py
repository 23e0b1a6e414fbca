import numpy as np


def divide(speakers, n, seed):
    tested = np.random.default_rng(seed).permutation(np.unique(speakers))[:n]
    is_test = np.isin(speakers, tested)
    return np.flatnonzero(is_test), np.flatnonzero(~is_test)
