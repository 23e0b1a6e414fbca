"""Guards the columns and forgets the rows."""

# loses: class_scores_empty_classes


# %% class_scores
def class_scores(matrix):
    hits, called, present = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    return hits / np.maximum(called, 1), hits / present, 2 * hits / np.maximum(called + present, 1)
