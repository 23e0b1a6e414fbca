"""In silence each cell is as loud as the loudest."""

# loses: decibels_of_silence


# %% decibels
def decibels(power, floor):
    if not power.any():
        return np.zeros(power.shape)
    return np.maximum(10 * np.log10(power / power.max()), floor)
