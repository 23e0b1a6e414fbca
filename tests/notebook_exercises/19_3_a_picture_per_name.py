import numpy as np


def classes(pictures, names):
    directions = names / np.linalg.norm(names, axis=1, keepdims=True)
    return (pictures @ directions.T).argmax(axis=0)
