def weights_that_learn(channels, hidden, n_classes):
    return channels * hidden + hidden * n_classes
