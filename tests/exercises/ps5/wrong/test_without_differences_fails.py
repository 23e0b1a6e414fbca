"""b + c = 0 ends in an error."""

# loses: mcnemar_no_difference


# %% mcnemar
def mcnemar(y, first, second):
    from scipy import stats

    b, c = only_one_reads(y, first, second)
    if b + c == 0:
        raise ValueError("nothing to compare")
    return stats.binomtest(b, b + c).pvalue
