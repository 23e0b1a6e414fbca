import numpy as np


def pushes(similarities, temperature):
    logits = np.array(similarities, float)
    np.fill_diagonal(logits, -np.inf)
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    gradient = exps / exps.sum(axis=1, keepdims=True)
    rows = np.arange(len(logits))
    gradient[rows, np.roll(rows, len(rows) // 2)] -= 1
    return gradient
