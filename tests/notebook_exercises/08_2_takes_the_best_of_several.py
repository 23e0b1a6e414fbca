def lost(scores, accuracies):
    return accuracies.max() - accuracies[scores == scores.max()].max()
