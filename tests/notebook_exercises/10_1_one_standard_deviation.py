import numpy as np


def honest(validation, test, n):
    accuracy = test[validation.argmax()]
    half = np.sqrt(accuracy * (1 - accuracy) / n)
    return accuracy, accuracy - half, accuracy + half
