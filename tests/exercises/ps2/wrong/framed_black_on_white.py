"""Turns ink into paper."""

# loses: framed_any_image


# %% framed
def framed(image):
    ink = crop_to_ink(image)
    return 255 - centred(resize(ink, *box_size(*ink.shape)))
