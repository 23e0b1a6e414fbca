"""How often the first model would be so far ahead."""

# loses: mcnemar_examples, mcnemar_any_models, mcnemar_no_difference, mcnemar_many_images


# %% mcnemar
def mcnemar(y, first, second):
    from scipy import stats

    b, c = only_one_reads(y, first, second)
    return stats.binomtest(b, b + c, alternative="greater").pvalue if b + c else 1.0
