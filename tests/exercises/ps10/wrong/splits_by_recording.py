"""The training that should know no tested speaker is drawn from all that is not tested."""

# loses: two_splits_no_speaker_in_both


# %% two_splits
def two_splits(speakers, tested, n_train, seed):
    rng = np.random.default_rng(seed)
    own, others = np.flatnonzero(np.isin(speakers, tested)), np.flatnonzero(~np.isin(speakers, tested))
    test = rng.permutation(own)[: len(own) // 2]
    rest = np.setdiff1d(np.arange(len(speakers)), test)
    return test, rng.permutation(rest)[:n_train], rng.permutation(rest)[:n_train]
