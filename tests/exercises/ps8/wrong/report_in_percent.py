"""Accuracies in percent, rounded."""

# loses: writes_what_is_asked, scores_are_true, baseline_is_fair

# %% train
# The reference, but:
# - report = {"classes": classes, **parts, "accuracy": accuracy}
# + report = {"classes": classes, **parts, "accuracy": {key: round(100 * value, 1) for key, value in accuracy.items()}}
