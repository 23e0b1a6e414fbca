"""Shifts whatever the interval holds."""

# loses: mend_inside_interval


# %% mend
def mend(risks, outcomes, weights, new_risks):
    return shift_level(risks, outcomes, weights, new_risks)
