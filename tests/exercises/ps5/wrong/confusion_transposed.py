"""The answer in the row, the right class in the column."""

# loses: confusion_examples, confusion_any_answers


# %% confusion
def confusion(y, answers, n_classes):
    matrix = np.zeros((n_classes, n_classes), dtype=int)
    for truth, said in zip(y, answers):
        matrix[said, truth] += 1
    return matrix
