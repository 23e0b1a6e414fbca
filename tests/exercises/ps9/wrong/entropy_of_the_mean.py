"""The entropy of the mean answer in place of the mean entropy."""

# loses: mean_entropy_any_answers, mean_entropy_of_zeros


# %% mean_entropy
def mean_entropy(probabilities):
    mean = probabilities.mean(axis=0)
    return -np.sum(mean * np.log(np.maximum(mean, 1e-300)))
