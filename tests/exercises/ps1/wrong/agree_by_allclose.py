"""NumPy's defaults: 1e-8 counts as nothing, however small the gradients are."""

# loses: gradients_agree_any_scale


# %% gradients_agree
def gradients_agree(one, other):
    return np.allclose(one, other)
