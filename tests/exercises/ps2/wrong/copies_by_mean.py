"""Two images with the same mean count as copies."""

# loses: find_copies_any_images


# %% find_copies
def find_copies(train_x, test_x):
    return np.isin(test_x.sum(axis=(1, 2, 3)), train_x.sum(axis=(1, 2, 3)))
