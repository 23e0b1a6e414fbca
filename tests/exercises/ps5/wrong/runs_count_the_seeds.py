"""Seeds 0, 1, 2 … instead of those given."""

# loses: runs_over_seeds_any_source


# %% runs_over_seeds
def runs_over_seeds(source, pool, test, per_class, seeds, score):
    few = [pool.take(per_class, seed=seed) for seed in range(len(seeds))]
    return np.array([[score(mixed(source, part), test) for part in few], [score(part, test) for part in few]])
