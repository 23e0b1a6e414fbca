"""The arithmetic mean of precision and recall."""

# loses: class_scores_examples, class_scores_any_matrix, class_scores_empty_classes


# %% class_scores
def class_scores(matrix):
    hits, called, present = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    precision, recall = hits / np.maximum(called, 1), hits / np.maximum(present, 1)
    return precision, recall, (precision + recall) / 2
