"""How many recordings leak."""

# loses: leaked_any_split


# %% leaked
def leaked(speakers, train, test):
    return np.isin(speakers[test], speakers[train]).sum()
