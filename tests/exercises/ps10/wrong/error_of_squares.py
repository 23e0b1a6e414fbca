"""The root of the mean square."""

# loses: calibration_error_any_groups


# %% calibration_error
def calibration_error(risks, outcomes, weights, groups):
    sizes = [weights[groups == k].sum() for k in np.unique(groups)]
    return np.sqrt(np.average(level_by_group(risks, outcomes, weights, groups) ** 2, weights=sizes))
