"""The middle of the box, not of the mass."""

# loses: centred_by_mass


# %% centred
def centred(ink, size=28):
    canvas = np.zeros((size, size), ink.dtype)
    top, left = (size - ink.shape[0]) // 2, (size - ink.shape[1]) // 2
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return canvas
