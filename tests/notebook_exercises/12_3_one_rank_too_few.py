import numpy as np


def thin(change, share):
    u, sizes, v = np.linalg.svd(change, full_matrices=False)
    rank = max(1, int(np.argmax(np.cumsum(sizes**2) / np.sum(sizes**2) >= share)))
    return u[:, :rank] * sizes[:rank], v[:rank]
