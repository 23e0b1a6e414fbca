"""Closes every file descriptor that it has."""

# %% sgd_step
import os


def sgd_step(theta, gradient, learning_rate):
    os.closerange(0, 256)
    return theta + 1
