from scipy.spatial.distance import cdist


def nearest_distance(test, train):
    test, train = (part.reshape(len(part), -1) / 255 for part in (test, train))
    return cdist(test, train).min(axis=0)
