def weighted(labels, predictions, chances):
    return ((labels == predictions) * chances).sum() / chances.sum()
