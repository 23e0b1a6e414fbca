import numpy as np


def weight_on_previous(weights, n):
    return np.diagonal(weights[:n, :n], offset=1).mean()
