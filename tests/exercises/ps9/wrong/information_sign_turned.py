"""The mean entropy minus the entropy of the mean: the better, the lower."""

# loses: information_maximization_any_answers


# %% information_maximization
def information_maximization(probabilities):
    return mean_entropy(probabilities) - mean_entropy(probabilities.mean(axis=0, keepdims=True))
