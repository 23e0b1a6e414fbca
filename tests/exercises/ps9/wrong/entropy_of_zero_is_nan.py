"""0 log 0 is NaN."""

# loses: mean_entropy_of_zeros


# %% mean_entropy
def mean_entropy(probabilities):
    return -np.mean(np.sum(probabilities * np.log(probabilities), axis=1))
