"""Never shifts."""

# loses: mend_outside_interval


# %% mend
def mend(risks, outcomes, weights, new_risks):
    return new_risks
