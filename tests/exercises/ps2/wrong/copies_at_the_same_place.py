"""Compares image i with image i only."""

# loses: find_copies_examples, find_copies_any_images


# %% find_copies
def find_copies(train_x, test_x):
    return np.array([i < len(train_x) and np.array_equal(one, train_x[i]) for i, one in enumerate(test_x)])
