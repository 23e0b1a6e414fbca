"""Only the first of the tested speakers is tested."""

# loses: two_splits_no_speaker_in_both, two_splits_sizes, two_splits_at_random


# %% two_splits
def two_splits(speakers, tested, n_train, seed):
    rng = np.random.default_rng(seed)
    own, others = np.flatnonzero((speakers == tested[0])), np.flatnonzero(~(speakers == tested[0]))
    test = rng.permutation(own)[: len(own) // 2]
    rest = np.setdiff1d(np.arange(len(speakers)), test)
    return test, rng.permutation(others)[:n_train], rng.permutation(rest)[:n_train]
