import numpy as np


def divide(speakers, n, seed):
    order = np.random.default_rng(seed).permutation(len(speakers))
    test = len(speakers) * n // len(np.unique(speakers))
    return order[test:], order[:test]
