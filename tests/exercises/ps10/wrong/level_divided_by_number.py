"""The sum is divided by the number of examples."""

# loses: level_by_group_weights


# %% level_by_group
def level_by_group(risks, outcomes, weights, groups):
    return np.array([(weights * (risks - outcomes))[groups == k].mean() for k in np.unique(groups)])
