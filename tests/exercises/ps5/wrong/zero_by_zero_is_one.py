"""Where nobody was called the precision is perfect."""

# loses: class_scores_examples, class_scores_empty_classes


# %% class_scores
def class_scores(matrix):
    hits, called, present = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    precision = np.where(called == 0, 1.0, hits / np.maximum(called, 1))
    recall = np.where(present == 0, 1.0, hits / np.maximum(present, 1))
    return precision, recall, 2 * hits / np.maximum(called + present, 1)
