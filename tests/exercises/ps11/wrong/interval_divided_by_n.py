"""The spread is divided by n, not by n - 1."""

# loses: paired_interval_any_differences


# %% paired_interval
def paired_interval(differences):
    import scipy.stats

    half = scipy.stats.t.ppf(0.975, len(differences) - 1) * np.std(differences) / np.sqrt(len(differences))
    return np.mean(differences) - half, np.mean(differences) + half
