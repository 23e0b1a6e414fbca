"""A fixed tolerance: gradients that are small all agree."""

# loses: gradients_agree_any_scale


# %% gradients_agree
def gradients_agree(one, other):
    return np.abs(one - other).max() <= 1e-4
