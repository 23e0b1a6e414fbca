"""Each group counts alike."""

# loses: calibration_error_any_groups


# %% calibration_error
def calibration_error(risks, outcomes, weights, groups):
    return np.mean(np.abs(level_by_group(risks, outcomes, weights, groups)))
