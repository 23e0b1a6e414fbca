"""Nothing lies on a floor."""

# loses: decibels_any_power, decibels_of_silence


# %% decibels
def decibels(power, floor):
    return 10 * np.log10(power / power.max())
