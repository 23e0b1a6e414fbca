"""Takes the groups to be numbered 0, 1, 2, …; others get lost."""

# loses: split_by_group_examples, split_by_group_uses_every_image


# %% split_by_group
def split_by_group(groups, test_fraction, seed):
    n = len(np.unique(groups))
    names = np.random.default_rng(seed).permutation(n)
    n_test = min(max(1, round(test_fraction * n)), n - 1)
    return np.flatnonzero(np.isin(groups, names[n_test:])), np.flatnonzero(np.isin(groups, names[:n_test]))
