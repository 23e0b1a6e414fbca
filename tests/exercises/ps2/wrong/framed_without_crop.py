"""Scales the whole picture, paper and all."""

# loses: framed_any_image


# %% framed
def framed(image):
    return centred(crop_to_ink(resize(image, *box_size(*image.shape))))
