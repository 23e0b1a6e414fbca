"""Takes out empty rows and columns inside the ink too."""

# loses: crop_to_ink_any_image


# %% crop_to_ink
def crop_to_ink(image):
    return image[image.any(axis=1)][:, image.any(axis=0)]
