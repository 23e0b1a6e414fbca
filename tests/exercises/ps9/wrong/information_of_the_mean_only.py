"""Asks for answers that differ, and not for sure ones."""

# loses: information_maximization_any_answers


# %% information_maximization
def information_maximization(probabilities):
    return mean_entropy(probabilities.mean(axis=0, keepdims=True))
