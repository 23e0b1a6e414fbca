"""In silence 0 is divided by 0."""

# loses: decibels_of_silence


# %% decibels
def decibels(power, floor):
    return np.maximum(10 * np.log10(power / power.max()), floor)
