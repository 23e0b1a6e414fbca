def weighted(labels, predictions, chances):
    weights = (1 - chances) / chances
    return ((labels == predictions) * weights).sum() / weights.sum()
