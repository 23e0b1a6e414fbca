def weighted(labels, predictions, chances):
    weights = chances / (1 - chances)
    return ((labels == predictions) * weights).mean()
