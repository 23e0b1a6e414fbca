"""Scored on images that it may have learned from."""

# loses: runs_over_seeds_any_source


# %% runs_over_seeds
def runs_over_seeds(source, pool, test, per_class, seeds, score):
    with_source, without = [], []
    for seed in seeds:
        few = pool.take(per_class, seed=seed)
        with_source.append(score(mixed(source, few), pool))
        without.append(score(few, pool))
    return np.array(with_source), np.array(without)
