"""Both shares are of the images."""

# loses: top_k_one_image_each, top_k_several_images, top_k_ties


# %% top_k
def top_k(similarities, text_of, k):
    own = text_of[:, None] == np.arange(similarities.shape[1])
    of_own = similarities[np.arange(len(text_of)), text_of]
    found = ((similarities >= of_own[:, None]) & ~own).sum(axis=1) < k
    return found.mean(), found.mean()
