"""Stops its own process, which then neither ends nor answers."""

# %% sgd_step
import os
import signal


def sgd_step(theta, gradient, learning_rate):
    os.kill(os.getpid(), signal.SIGSTOP)
    return theta + 1
