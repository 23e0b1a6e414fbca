"""Tosses a coin for each image, whoever reads it."""

# loses: mcnemar_examples, mcnemar_any_models, mcnemar_no_difference, mcnemar_many_images


# %% mcnemar
def mcnemar(y, first, second):
    from scipy import stats

    b, c = only_one_reads(y, first, second)
    return stats.binomtest(b, len(y)).pvalue
