import numpy as np


def returns(rewards, over, discount):
    found, so_far = np.zeros(len(rewards)), 0.0
    for t in range(len(rewards)):
        so_far = rewards[t] + discount * so_far * (t > 0 and not over[t - 1])
        found[t] = so_far
    return found
