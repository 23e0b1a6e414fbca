"""Each column has a loudest cell of its own."""

# loses: decibels_any_power, decibels_of_silence


# %% decibels
def decibels(power, floor):
    top = np.maximum(power.max(axis=0), 1e-300)
    return np.maximum(10 * np.log10(np.maximum(power, 1e-307) / top), floor)
