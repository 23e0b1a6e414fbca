"""The mean absolute error of the risks."""

# loses: calibration_error_any_groups


# %% calibration_error
def calibration_error(risks, outcomes, weights, groups):
    return np.average(np.abs(risks - outcomes), weights=weights)
