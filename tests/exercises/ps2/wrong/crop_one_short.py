"""The last row and column are cut off."""

# loses: crop_to_ink_any_image


# %% crop_to_ink
def crop_to_ink(image):
    rows, columns = np.nonzero(image)
    return image[rows.min() : rows.max(), columns.min() : columns.max()]
