"""The rate is weighted, and the mean risk is not."""

# loses: level_by_group_weights


# %% level_by_group
def level_by_group(risks, outcomes, weights, groups):
    return np.array(
        [
            risks[groups == k].mean() - np.average(outcomes[groups == k], weights=weights[groups == k])
            for k in np.unique(groups)
        ]
    )
