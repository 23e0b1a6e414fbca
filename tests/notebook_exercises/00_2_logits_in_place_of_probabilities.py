import numpy as np


def best_three(logits, names):
    best = np.argsort(-logits)[:3]
    return {names[k]: float(logits[k]) for k in best}
