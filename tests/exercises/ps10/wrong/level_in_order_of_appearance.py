"""The groups come as they are met."""

# loses: level_by_group_any_groups, level_by_group_weights


# %% level_by_group
def level_by_group(risks, outcomes, weights, groups):
    return np.array(
        [
            np.average((risks - outcomes)[groups == k], weights=weights[groups == k])
            for k in dict.fromkeys(groups.tolist())
        ]
    )
