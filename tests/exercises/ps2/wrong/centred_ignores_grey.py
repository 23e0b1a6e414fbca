"""Every pixel of ink weighs the same."""

# loses: centred_by_mass


# %% centred
def centred(ink, size=28):
    canvas = np.zeros((size, size), ink.dtype)
    middle = np.argwhere(ink > 0).mean(axis=0)
    top, left = (int(np.clip(round((size - 1) / 2 - m), 0, size - n)) for m, n in zip(middle, ink.shape))
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return canvas
