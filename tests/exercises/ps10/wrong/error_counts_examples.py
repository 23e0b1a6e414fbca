"""A group counts by its number of examples."""

# loses: calibration_error_any_groups


# %% calibration_error
def calibration_error(risks, outcomes, weights, groups):
    sizes = [(groups == k).sum() for k in np.unique(groups)]
    return np.average(np.abs(level_by_group(risks, outcomes, weights, groups)), weights=sizes)
