"""The spread of single examples in place of the standard error."""

# loses: mend_outside_interval


# %% mend
def mend(risks, outcomes, weights, new_risks):
    errors = risks - outcomes
    level = np.average(errors, weights=weights)
    s = np.sqrt(np.average((errors - level) ** 2, weights=weights))
    return new_risks.copy() if abs(level) <= 1.96 * s else shift_level(risks, outcomes, weights, new_risks)
