"""The power itself, not divided by the largest."""

# loses: decibels_any_power, decibels_of_silence


# %% decibels
def decibels(power, floor):
    return np.maximum(10 * np.log10(np.maximum(power, 1e-300)), floor)
