"""0 divided by 0."""

# loses: cosines_of_zero


# %% cosines
def cosines(images, texts):
    images, texts = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (images, texts))
    return images @ texts.T
