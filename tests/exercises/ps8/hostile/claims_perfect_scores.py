"""Writes into the report what its author would like to read."""

# loses: scores_are_true, baseline_is_fair

# %% train
# The reference, but:
# - report = {"classes": classes, **parts, "accuracy": accuracy}
# + report = {"classes": classes, **parts, "accuracy": {"pixels": 1.0, "frozen": 1.0, "fine_tuned": 1.0}}
