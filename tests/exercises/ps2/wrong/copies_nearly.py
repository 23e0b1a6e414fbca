"""A small difference still counts as a copy."""

# loses: find_copies_any_images


# %% find_copies
def find_copies(train_x, test_x):
    return np.array([any(np.allclose(one, other, atol=2) for other in train_x) for one in test_x])
