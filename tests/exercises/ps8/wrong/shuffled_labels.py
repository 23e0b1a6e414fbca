"""The labels of the training part are in another order than its pictures."""

# loses: names_in_order, beats_the_pixels, baseline_is_fair

# %% train
# The reference, but:
# - labels[part] = np.array([classes.index(file.split("/")[0]) for file in files])
# + labels[part] = np.array([classes.index(file.split("/")[0]) for file in files])
# + if part == "training":
# +     rng.shuffle(labels[part])
