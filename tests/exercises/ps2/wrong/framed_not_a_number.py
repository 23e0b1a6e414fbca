"""Divides nothing by nothing."""

# loses: framed_any_image


# %% framed
def framed(image):
    return np.full((28, 28), np.nan)
