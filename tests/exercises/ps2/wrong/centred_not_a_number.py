"""Divides nothing by nothing."""

# loses: centred_by_mass, centred_keeps_ink


# %% centred
def centred(ink, size=28):
    return np.full((size, size), np.nan)
