"""The entropy of how often each class is the answer, in place of the mean probabilities."""

# loses: information_maximization_any_answers


# %% information_maximization
def information_maximization(probabilities):
    counts = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
    return mean_entropy(counts[None] / counts.sum()) - mean_entropy(probabilities)
