"""The interval is that of the plain mean."""

# loses: mend_outside_interval, mend_inside_interval


# %% mend
def mend(risks, outcomes, weights, new_risks):
    errors = risks - outcomes
    level = np.mean(errors)
    s = np.std(errors) / np.sqrt(len(errors))
    return new_risks.copy() if abs(level) <= 1.96 * s else shift_level(risks, outcomes, weights, new_risks)
