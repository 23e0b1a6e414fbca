"""Also images on which both are wrong in different ways."""

# loses: only_one_reads_any_models


# %% only_one_reads
def only_one_reads(y, first, second):
    differ = first != second
    return int(np.sum(differ & (second != y))), int(np.sum(differ & (second == y)))
