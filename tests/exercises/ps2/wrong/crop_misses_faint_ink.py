"""Only dark ink counts."""

# loses: crop_to_ink_any_image


# %% crop_to_ink
def crop_to_ink(image):
    rows, columns = np.nonzero(image > 127)
    return image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
