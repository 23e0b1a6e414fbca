import numpy as np
from scipy.special import log_softmax, softmax


def several_labels(z, y):
    return -np.sum(y * log_softmax(z)), softmax(z) - y
