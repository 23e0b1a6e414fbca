"""The second model's images first."""

# loses: only_one_reads_any_models


# %% only_one_reads
def only_one_reads(y, first, second):
    return int(np.sum((first != y) & (second == y))), int(np.sum((first == y) & (second != y)))
