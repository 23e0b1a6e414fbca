import numpy as np


def weight_on_previous(weights, n):
    return np.diagonal(weights, offset=-1).mean()
