"""The baseline learns from another draw: nothing is paired."""

# loses: runs_over_seeds_any_source


# %% runs_over_seeds
def runs_over_seeds(source, pool, test, per_class, seeds, score):
    with_source, without = [], []
    for seed in seeds:
        few = pool.take(per_class, seed=seed)
        with_source.append(score(mixed(source, few), test))
        without.append(score(pool.take(per_class, seed=seed + 1), test))
    return np.array(with_source), np.array(without)
