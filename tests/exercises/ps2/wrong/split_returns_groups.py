"""Returns the groups of each part and not the images."""

# loses: split_by_group_examples, split_by_group_keeps_groups_whole, split_by_group_uses_every_image, split_by_group_test_fraction, split_by_group_drawn_by_seed


# %% split_by_group
def split_by_group(groups, test_fraction, seed):
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    n_test = min(max(1, round(test_fraction * len(names))), len(names) - 1)
    return names[n_test:], names[:n_test]
