"""Learns from what was for validation, too."""

# loses: parts_are_apart

# %% train
# The reference, but:
# - parts["training"] += files[n_test + n_validation :]
# + parts["training"] += files[n_test:]
