"""The training part keeps the pictures of the test part."""

# loses: parts_are_apart, no_test_picture_is_learned

# %% train
# The reference, but:
# - parts["training"] += files[n_test + n_validation :]
# + parts["training"] += files[:n_test] + files[n_test + n_validation :]
