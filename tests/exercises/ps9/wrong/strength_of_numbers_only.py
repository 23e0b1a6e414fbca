"""math.exp takes no array."""

# loses: reversal_strength_any_progress

# %% reversal_strength
import math


def reversal_strength(p):
    return 2 / (1 + math.exp(-10 * p)) - 1
