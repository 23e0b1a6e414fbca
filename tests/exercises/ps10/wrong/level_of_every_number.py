"""A group for each number up to the largest."""

# loses: level_by_group_any_groups


# %% level_by_group
def level_by_group(risks, outcomes, weights, groups):
    return np.bincount(groups, weights * (risks - outcomes)) / np.bincount(groups, weights)
