"""Counts what each model reads, also what both read."""

# loses: only_one_reads_any_models


# %% only_one_reads
def only_one_reads(y, first, second):
    return int(np.sum(first == y)), int(np.sum(second == y))
