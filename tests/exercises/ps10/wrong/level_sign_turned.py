"""The share of events minus the mean risk."""

# loses: level_by_group_any_groups, level_by_group_weights


# %% level_by_group
def level_by_group(risks, outcomes, weights, groups):
    return np.array(
        [np.average((outcomes - risks)[groups == k], weights=weights[groups == k]) for k in np.unique(groups)]
    )
