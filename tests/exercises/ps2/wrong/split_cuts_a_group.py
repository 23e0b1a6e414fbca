"""Lines the groups up at random and cuts where the fraction of the images is reached."""

# loses: split_by_group_examples, split_by_group_keeps_groups_whole


# %% split_by_group
def split_by_group(groups, test_fraction, seed):
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    order = np.concatenate([np.flatnonzero(groups == name) for name in names])
    n_test = max(1, int(test_fraction * len(groups)))
    return order[n_test:], order[:n_test]
