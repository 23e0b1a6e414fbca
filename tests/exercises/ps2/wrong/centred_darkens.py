"""Scales the grey values up to 255."""

# loses: centred_keeps_ink


# %% centred
def centred(ink, size=28):
    canvas = np.zeros((size, size), np.uint8)
    grey = np.rint(ink / ink.max() * 255)
    corner = []
    for axis, length in enumerate(ink.shape):
        weights = ink.astype(float).sum(axis=1 - axis)
        middle = np.sum(np.arange(length) * weights) / weights.sum()
        corner.append(min(max(round((size - 1) / 2 - middle), 0), size - length))
    canvas[corner[0] : corner[0] + ink.shape[0], corner[1] : corner[1] + ink.shape[1]] = grey
    return canvas
