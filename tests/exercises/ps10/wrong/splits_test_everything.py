"""All recordings of the tested speakers are the test part."""

# loses: two_splits_sizes, two_splits_at_random, two_splits_seed


# %% two_splits
def two_splits(speakers, tested, n_train, seed):
    rng = np.random.default_rng(seed)
    own, others = np.flatnonzero(np.isin(speakers, tested)), np.flatnonzero(~np.isin(speakers, tested))
    test = rng.permutation(own)
    rest = np.setdiff1d(np.arange(len(speakers)), test)
    return test, rng.permutation(others)[:n_train], rng.permutation(rest)[:n_train]
