"""per_class examples in all."""

# loses: few_labels_examples, few_labels_of_each_class


# %% few_labels
def few_labels(labels, per_class, seed):
    return np.random.default_rng(seed).choice(len(labels), per_class, replace=False)
