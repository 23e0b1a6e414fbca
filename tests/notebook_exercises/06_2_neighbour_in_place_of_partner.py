import numpy as np


def mixed_pairs(x, y, partner, weight, n_classes):
    labels = np.eye(n_classes)[y]
    share = weight[:, None, None, None]
    images = share * x + (1 - share) * x[::-1]
    return images, weight[:, None] * labels + (1 - weight[:, None]) * labels[::-1]
