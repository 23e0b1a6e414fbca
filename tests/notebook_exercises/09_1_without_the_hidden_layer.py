def weights_that_learn(channels, hidden, n_classes):
    return channels * n_classes + n_classes
