"""The natural logarithm."""

# loses: decibels_any_power, decibels_of_silence


# %% decibels
def decibels(power, floor):
    if not power.any():
        return np.full(power.shape, floor)
    return np.maximum(10 * np.log(power / power.max()), floor)
