"""The logarithm to base 2."""

# loses: mean_entropy_any_answers, mean_entropy_of_zeros


# %% mean_entropy
def mean_entropy(probabilities):
    return -np.mean(np.sum(probabilities * np.log2(np.maximum(probabilities, 1e-300)), axis=1))
