"""The share of the tested speakers, each of whom counts once."""

# loses: leaked_any_split


# %% leaked
def leaked(speakers, train, test):
    return np.isin(np.unique(speakers[test]), speakers[train]).mean()
