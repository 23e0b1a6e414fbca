def nearest_labels(features, labels, new):
    return labels[(new @ features.T).argmax(axis=1)]
