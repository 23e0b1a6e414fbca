import numpy as np


def returns(rewards, over, discount):
    found, ahead = np.zeros(len(rewards)), 0.0
    for t in reversed(range(len(rewards))):
        ahead = rewards[t] + ahead * (not over[t])
        found[t] = ahead
    return found
