import numpy as np


def thin(change, share):
    u, sizes, v = np.linalg.svd(change, full_matrices=False)
    rank = int(np.argmax(np.cumsum(sizes) / np.sum(sizes) >= share)) + 1
    return u[:, :rank] * sizes[:rank], v[:rank]
