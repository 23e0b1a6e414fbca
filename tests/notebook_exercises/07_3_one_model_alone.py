import numpy as np


def interval_of_difference(first_right, second_right, rng):
    n = len(first_right)
    drawn = rng.integers(n, size=(1000, n))
    return np.quantile(first_right[drawn].mean(axis=1), [0.025, 0.975]) - second_right.mean()
