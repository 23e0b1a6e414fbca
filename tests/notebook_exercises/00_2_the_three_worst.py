import keras
import numpy as np


def best_three(logits, names):
    probabilities = keras.ops.softmax(logits).numpy()
    return {names[k]: float(probabilities[k]) for k in np.argsort(probabilities)[:3]}
