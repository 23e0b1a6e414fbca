"""Divides by the answers of a class, not by its images."""

# loses: accuracy_by_class_any_labels


# %% accuracy_by_class
def accuracy_by_class(answers, labels, n_classes):
    with np.errstate(all="ignore"):
        return np.array([np.mean(labels[answers == k] == k) for k in range(n_classes)])
