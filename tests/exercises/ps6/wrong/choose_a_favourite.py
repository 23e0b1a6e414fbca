"""Always print, as deep as affordable."""

# loses: choose_near_the_best


# %% choose
def choose(labelled, budget):
    return max(plan for plan in affordable(budget) if plan[0] == "resnet_printed")
