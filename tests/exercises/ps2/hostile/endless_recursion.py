"""A function that calls itself for ever."""

# loses: centred_keeps_ink, centred_by_mass


# %% centred
def centred(ink, size=28):
    return centred(ink, size)
