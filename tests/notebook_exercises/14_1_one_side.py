import numpy as np


def share_found(one, two):
    one, two = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (one, two))
    return np.mean((one @ two.T).argmax(axis=1) == np.arange(len(one)))
