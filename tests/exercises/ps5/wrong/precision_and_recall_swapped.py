"""Precision from the row, recall from the column."""

# loses: class_scores_examples, class_scores_any_matrix, class_scores_empty_classes


# %% class_scores
def class_scores(matrix):
    hits, rows, columns = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return hits / np.maximum(rows, 1), hits / np.maximum(columns, 1), 2 * hits / np.maximum(rows + columns, 1)
