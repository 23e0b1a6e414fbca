"""Keeps the first image of each group only."""

# loses: split_by_group_examples, split_by_group_uses_every_image


# %% split_by_group
def split_by_group(groups, test_fraction, seed):
    names, firsts = np.unique(groups, return_index=True)
    order = np.random.default_rng(seed).permutation(firsts)
    n_test = min(max(1, round(test_fraction * len(names))), len(names) - 1)
    return order[n_test:], order[:n_test]
