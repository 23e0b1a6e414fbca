"""The probability of exactly this outcome, twice."""

# loses: mcnemar_any_models, mcnemar_no_difference, mcnemar_many_images


# %% mcnemar
def mcnemar(y, first, second):
    from scipy import stats

    b, c = only_one_reads(y, first, second)
    return 2 * stats.binom.pmf(b, b + c, 0.5)
