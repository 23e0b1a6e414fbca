import numpy as np


def share_found(one, two):
    both = np.concatenate([one, two])
    similar = both @ both.T
    np.fill_diagonal(similar, -np.inf)
    return np.mean(similar.argmax(axis=1) == np.roll(np.arange(len(both)), len(one)))
