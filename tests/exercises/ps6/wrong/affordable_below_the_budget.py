"""Less than the budget, where at most was meant."""

# loses: affordable_any_budget


# %% affordable
def affordable(budget):
    return [(name, d) for name in NETWORKS for d in range(1, 6) if tlkit.multiply_adds(cut(name, d)) < budget]
