"""Adding with an index that repeats counts each pair once."""

# loses: confusion_examples, confusion_any_answers


# %% confusion
def confusion(y, answers, n_classes):
    matrix = np.zeros((n_classes, n_classes), dtype=int)
    matrix[y, answers] += 1
    return matrix
