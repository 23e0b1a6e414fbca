"""The largest level."""

# loses: calibration_error_any_groups


# %% calibration_error
def calibration_error(risks, outcomes, weights, groups):
    return np.max(np.abs(level_by_group(risks, outcomes, weights, groups)))
