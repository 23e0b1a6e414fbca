"""Replaces all handlers of signals, and sleeps."""

# %% sgd_step
import signal
import time


def sgd_step(theta, gradient, learning_rate):
    for number in (signal.SIGINT, signal.SIGALRM, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(1)
