"""The sigmoid itself, which begins at one half."""

# loses: reversal_strength_any_progress


# %% reversal_strength
def reversal_strength(p):
    return 1 / (1 + np.exp(-10 * p))
