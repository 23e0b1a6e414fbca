import numpy as np


def share_found(one, two):
    both = np.concatenate([one, two])
    both = both / np.linalg.norm(both, axis=1, keepdims=True)
    return np.mean((both @ both.T).argmax(axis=1) == np.roll(np.arange(len(both)), len(one)))
