"""Divides by all images."""

# loses: accuracy_by_class_any_labels


# %% accuracy_by_class
def accuracy_by_class(answers, labels, n_classes):
    shares = np.bincount(labels[answers == labels], minlength=n_classes) / len(labels)
    return np.where(np.bincount(labels, minlength=n_classes) > 0, shares, np.nan)
