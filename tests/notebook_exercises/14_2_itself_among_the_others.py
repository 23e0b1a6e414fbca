import numpy as np


def pushes(similarities, temperature):
    exps = np.exp(np.array(similarities, float) / temperature)
    gradient = exps / exps.sum(axis=1, keepdims=True)
    rows = np.arange(len(gradient))
    gradient[rows, np.roll(rows, len(rows) // 2)] -= 1
    np.fill_diagonal(gradient, 0)
    return gradient
