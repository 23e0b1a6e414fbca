import numpy as np


def interval_of_difference(first_right, second_right, rng):
    n = len(first_right)
    first = rng.choice(first_right, size=(1000, n)).mean(axis=1)
    second = rng.choice(second_right, size=(1000, n)).mean(axis=1)
    return np.quantile(first - second, [0.025, 0.975])
