"""The share of the training recordings whose speaker is tested."""

# loses: leaked_any_split


# %% leaked
def leaked(speakers, train, test):
    return np.isin(speakers[train], speakers[test]).mean()
