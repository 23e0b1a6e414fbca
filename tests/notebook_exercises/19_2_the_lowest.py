import numpy as np


def found(scores, k):
    return ((scores < np.diag(scores)[:, None]).sum(axis=1) < k).mean()
