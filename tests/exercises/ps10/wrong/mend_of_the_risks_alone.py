"""The interval is that of the mean risk: does it hold the rate?"""

# loses: mend_inside_interval


# %% mend
def mend(risks, outcomes, weights, new_risks):
    errors = risks - outcomes
    level = np.average(errors, weights=weights)
    s = np.sqrt(np.sum(weights**2 * (risks - np.average(risks, weights=weights)) ** 2)) / np.sum(weights)
    return new_risks.copy() if abs(level) <= 1.96 * s else shift_level(risks, outcomes, weights, new_risks)
