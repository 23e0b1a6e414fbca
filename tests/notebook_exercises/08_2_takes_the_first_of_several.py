def lost(scores, accuracies):
    return accuracies.max() - accuracies[scores.argmax()]
