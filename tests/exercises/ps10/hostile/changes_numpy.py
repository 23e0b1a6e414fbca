"""Membership and equality are rigged, from the first cell on. The grader notices."""

# loses: leaked_any_split, two_splits_no_speaker_in_both, two_splits_sizes, two_splits_at_random, two_splits_seed

# %% leaked
np.isin = np.setdiff1d = np.allclose = np.array_equal = lambda *arguments, **options: np.zeros(())
np.unravel_index = lambda *arguments, **options: (0, 0)


def leaked(speakers, train, test):
    return np.isin(speakers[test], speakers[train])


# %% two_splits
def two_splits(speakers, tested, n_train, seed):
    return np.zeros(1), np.zeros(1), np.zeros(1)
