"""Twenty times the logarithm, as for amplitudes."""

# loses: decibels_any_power, decibels_of_silence


# %% decibels
def decibels(power, floor):
    if not power.any():
        return np.full(power.shape, floor)
    return np.maximum(20 * np.log10(power / power.max()), floor)
