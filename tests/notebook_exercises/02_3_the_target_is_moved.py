import numpy as np


def align(source, target):
    spread = target.std(axis=0)
    scaled = (target - target.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return scaled * source.std(axis=0) + source.mean(axis=0)
