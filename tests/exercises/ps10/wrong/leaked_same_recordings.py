"""Looks for the same recording in both parts."""

# loses: leaked_any_split


# %% leaked
def leaked(speakers, train, test):
    return np.isin(test, train).mean()
