import numpy as np


def steps_to(curve, steps, threshold):
    return steps[np.argmax(np.asarray(curve) >= threshold)]
