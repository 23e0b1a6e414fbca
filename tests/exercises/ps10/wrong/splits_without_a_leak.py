"""Both training parts know no tested speaker."""

# loses: two_splits_at_random


# %% two_splits
def two_splits(speakers, tested, n_train, seed):
    rng = np.random.default_rng(seed)
    own, others = np.flatnonzero(np.isin(speakers, tested)), np.flatnonzero(~np.isin(speakers, tested))
    test = rng.permutation(own)[: len(own) // 2]
    return test, rng.permutation(others)[:n_train], rng.permutation(others)[:n_train]
