"""The quantile of a normal distribution, 1.96."""

# loses: paired_interval_any_differences


# %% paired_interval
def paired_interval(differences):
    half = 1.96 * np.std(differences, ddof=1) / np.sqrt(len(differences))
    return np.mean(differences) - half, np.mean(differences) + half
