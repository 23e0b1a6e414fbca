"""Half of the recordings of each tested speaker, each half rounded down."""

# loses: two_splits_sizes


# %% two_splits
def two_splits(speakers, tested, n_train, seed):
    rng = np.random.default_rng(seed)
    own, others = np.flatnonzero(np.isin(speakers, tested)), np.flatnonzero(~np.isin(speakers, tested))
    test = [
        place
        for name in tested
        for place in rng.permutation(np.flatnonzero(speakers == name))[: (speakers == name).sum() // 2]
    ]
    test = np.array(test or own[:1])
    rest = np.setdiff1d(np.arange(len(speakers)), test)
    return test, rng.permutation(others)[:n_train], rng.permutation(rest)[:n_train]
