"""Puts what was for validation into the training part."""

# loses: parts_are_apart

# %% train
# The reference, but:
# - n_test, n_validation = max(1, round(0.25 * len(files))), max(1, len(files) // 8)
# + n_test, n_validation = max(1, round(0.25 * len(files))), 0
