"""The first ones of each class."""

# loses: few_labels_by_seed


# %% few_labels
def few_labels(labels, per_class, seed):
    return np.concatenate([np.flatnonzero(labels == name)[:per_class] for name in np.unique(labels)])
