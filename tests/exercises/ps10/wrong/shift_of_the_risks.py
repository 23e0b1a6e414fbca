"""The level is taken away from the risks themselves."""

# loses: shift_level_any_risks


# %% shift_level
def shift_level(risks, outcomes, weights, new_risks):
    return new_risks - np.average(risks - outcomes, weights=weights)
