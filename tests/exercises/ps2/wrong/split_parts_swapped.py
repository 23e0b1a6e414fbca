"""The fraction goes to the training part."""

# loses: split_by_group_test_fraction


# %% split_by_group
def split_by_group(groups, test_fraction, seed):
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    n_test = min(max(1, round(test_fraction * len(names))), len(names) - 1)
    in_test = np.isin(groups, names[:n_test])
    return np.flatnonzero(in_test), np.flatnonzero(~in_test)
