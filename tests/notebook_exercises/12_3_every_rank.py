import numpy as np


def thin(change, share):
    return change, np.eye(change.shape[1])
