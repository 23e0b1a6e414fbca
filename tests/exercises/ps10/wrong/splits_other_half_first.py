"""All of the other half comes into the training at random, and others fill it up."""

# loses: two_splits_at_random


# %% two_splits
def two_splits(speakers, tested, n_train, seed):
    rng = np.random.default_rng(seed)
    own, others = np.flatnonzero(np.isin(speakers, tested)), np.flatnonzero(~np.isin(speakers, tested))
    test = rng.permutation(own)[: len(own) // 2]
    rest = np.concatenate([np.setdiff1d(own, test), rng.permutation(others)])
    return test, rng.permutation(others)[:n_train], rest[:n_train]
