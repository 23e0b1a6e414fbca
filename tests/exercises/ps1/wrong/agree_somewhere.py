"""One entry that agrees is enough."""

# loses: gradients_agree_any_scale


# %% gradients_agree
def gradients_agree(one, other):
    return bool(np.any(np.abs(one - other) <= 1e-4 * max(np.abs(one).max(), np.abs(other).max())))
