"""A small fraction gives no test group at all."""

# loses: split_by_group_test_fraction


# %% split_by_group
def split_by_group(groups, test_fraction, seed):
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    in_test = np.isin(groups, names[: int(0.5 + test_fraction * len(names))])
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)
