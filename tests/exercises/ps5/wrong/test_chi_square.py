"""The chi-square approximation with its correction."""

# loses: mcnemar_examples, mcnemar_any_models, mcnemar_many_images


# %% mcnemar
def mcnemar(y, first, second):
    from scipy import stats

    b, c = only_one_reads(y, first, second)
    return stats.chi2.sf(max(abs(b - c) - 1, 0) ** 2 / max(b + c, 1), 1)
