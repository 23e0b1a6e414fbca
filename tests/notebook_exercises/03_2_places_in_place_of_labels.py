import numpy as np


def nearest_labels(features, labels, new):
    one, other = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (new, features))
    return (one @ other.T).argmax(axis=1)
