import numpy as np


def distance(source, target):
    return np.linalg.norm(np.cov(source.T) - np.cov(target.T)) / (4 * source.shape[1] ** 2)
