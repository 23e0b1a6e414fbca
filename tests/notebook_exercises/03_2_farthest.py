from scipy.spatial.distance import cdist


def nearest_labels(features, labels, new):
    return labels[cdist(new, features, "cosine").argmax(axis=1)]
