"""Counts weights in place of multiply-adds."""

# loses: affordable_any_budget


# %% affordable
def affordable(budget):
    return [(name, d) for name in NETWORKS for d in range(1, 6) if 300 * cut(name, d).count_params() <= budget]
