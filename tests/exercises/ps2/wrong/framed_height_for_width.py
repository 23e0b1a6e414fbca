"""Height and width change places."""

# loses: framed_any_image


# %% framed
def framed(image):
    ink = crop_to_ink(image)
    height, width = box_size(*ink.shape)
    return centred(resize(ink, width, height))
