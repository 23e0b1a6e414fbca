"""2.58 standard errors, as for 99 %."""

# loses: mend_outside_interval


# %% mend
def mend(risks, outcomes, weights, new_risks):
    errors = risks - outcomes
    level = np.average(errors, weights=weights)
    s = np.sqrt(np.sum(weights**2 * (errors - level) ** 2)) / np.sum(weights)
    return new_risks.copy() if abs(level) <= 2.58 * s else shift_level(risks, outcomes, weights, new_risks)
