"""The report names the classes backwards."""

# loses: names_in_order, beats_the_pixels, scores_are_true

# %% train
# The reference, but:
# - report = {"classes": classes, **parts, "accuracy": accuracy}
# + report = {"classes": classes[::-1], **parts, "accuracy": accuracy}
