"""The difference is not taken in absolute value, so that too small an entry is never seen."""

# loses: gradients_agree_any_scale


# %% gradients_agree
def gradients_agree(one, other):
    return (one - other).max() <= 1e-4 * max(np.abs(one).max(), np.abs(other).max())
