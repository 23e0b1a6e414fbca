"""Twice the tail, also where b = c."""

# loses: mcnemar_no_difference


# %% mcnemar
def mcnemar(y, first, second):
    from scipy import stats

    b, c = only_one_reads(y, first, second)
    return 2 * stats.binom.cdf(min(b, c), b + c, 0.5)
