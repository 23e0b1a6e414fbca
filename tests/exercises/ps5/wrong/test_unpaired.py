"""Compares two accuracies as if each model had its own images."""

# loses: mcnemar_examples, mcnemar_any_models, mcnemar_many_images


# %% mcnemar
def mcnemar(y, first, second):
    from scipy import stats

    b, c = only_one_reads(y, first, second)
    one, other, n = np.sum(first == y), np.sum(second == y), len(y)
    return stats.fisher_exact([[one, n - one], [other, n - other]]).pvalue
