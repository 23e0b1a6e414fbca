"""The slope stays 1."""

# loses: shift_and_stretch_any_risks


# %% shift_and_stretch
def shift_and_stretch(risks, outcomes, weights, new_risks):
    return shift_level(risks, outcomes, weights, new_risks)
