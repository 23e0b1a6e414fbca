"""A recording may come twice."""

# loses: two_splits_sizes


# %% two_splits
def two_splits(speakers, tested, n_train, seed):
    rng = np.random.default_rng(seed)
    own, others = np.flatnonzero(np.isin(speakers, tested)), np.flatnonzero(~np.isin(speakers, tested))
    test = rng.permutation(own)[: len(own) // 2]
    rest = np.setdiff1d(np.arange(len(speakers)), test)
    return test, rng.choice(others, n_train), rng.choice(rest, n_train)
