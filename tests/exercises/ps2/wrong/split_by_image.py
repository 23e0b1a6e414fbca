"""Draws images instead of groups: the leak."""

# loses: split_by_group_examples, split_by_group_keeps_groups_whole, split_by_group_test_fraction


# %% split_by_group
def split_by_group(groups, test_fraction, seed):
    order = np.random.default_rng(seed).permutation(len(groups))
    n_test = max(1, round(test_fraction * len(groups)))
    return order[n_test:], order[:n_test]
