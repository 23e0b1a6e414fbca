"""The mean over all entries, examples and classes."""

# loses: mean_entropy_any_answers, mean_entropy_of_zeros


# %% mean_entropy
def mean_entropy(probabilities):
    return -np.mean(probabilities * np.log(np.maximum(probabilities, 1e-300)))
