"""Levels above and below 0 cancel out."""

# loses: calibration_error_any_groups


# %% calibration_error
def calibration_error(risks, outcomes, weights, groups):
    return abs(np.average(risks - outcomes, weights=weights))
