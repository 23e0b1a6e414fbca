"""Every pixel is found somewhere in the training part."""

# loses: find_copies_any_images


# %% find_copies
def find_copies(train_x, test_x):
    return np.isin(test_x, train_x).all(axis=(1, 2, 3))
