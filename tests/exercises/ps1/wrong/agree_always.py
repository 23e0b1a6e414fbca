"""Hard-coded from a quick look at the examples."""

# loses: gradients_agree_any_scale


# %% gradients_agree
def gradients_agree(one, other):
    return True
