"""The weights stand under the root without a square."""

# loses: mend_inside_interval


# %% mend
def mend(risks, outcomes, weights, new_risks):
    errors = risks - outcomes
    level = np.average(errors, weights=weights)
    s = np.sqrt(np.sum(weights * (errors - level) ** 2)) / np.sum(weights)
    return new_risks.copy() if abs(level) <= 1.96 * s else shift_level(risks, outcomes, weights, new_risks)
