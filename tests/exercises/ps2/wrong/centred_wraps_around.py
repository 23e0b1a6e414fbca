"""Rolls the image: ink that sticks out comes back on the other side."""

# loses: centred_keeps_ink, centred_by_mass


# %% centred
def centred(ink, size=28):
    canvas = np.zeros((size, size), ink.dtype)
    canvas[: ink.shape[0], : ink.shape[1]] = ink
    middle = [(canvas.sum(axis=1 - axis) * np.arange(size)).sum() / canvas.sum() for axis in (0, 1)]
    return np.roll(canvas, [round((size - 1) / 2 - m) for m in middle], axis=(0, 1))
