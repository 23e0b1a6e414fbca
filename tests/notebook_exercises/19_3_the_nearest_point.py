import numpy as np


def classes(pictures, names):
    return np.linalg.norm(pictures[:, None] - names[None], axis=2).argmin(axis=1)
