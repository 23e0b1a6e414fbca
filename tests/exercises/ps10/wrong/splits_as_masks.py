"""Boolean masks in place of places."""

# loses: two_splits_no_speaker_in_both, two_splits_sizes, two_splits_at_random, two_splits_seed


# %% two_splits
def two_splits(speakers, tested, n_train, seed):
    rng = np.random.default_rng(seed)
    own, others = np.flatnonzero(np.isin(speakers, tested)), np.flatnonzero(~np.isin(speakers, tested))
    test = rng.permutation(own)[: len(own) // 2]
    rest = np.setdiff1d(np.arange(len(speakers)), test)
    every = np.arange(len(speakers))
    return tuple(
        np.isin(every, part) for part in (test, rng.permutation(others)[:n_train], rng.permutation(rest)[:n_train])
    )
