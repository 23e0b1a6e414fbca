"""0.5 to the power of more than a thousand."""

# loses: mcnemar_many_images


# %% mcnemar
def mcnemar(y, first, second):
    from math import comb

    b, c = only_one_reads(y, first, second)
    return min(1, 2 * sum(comb(b + c, k) * 0.5 ** (b + c) for k in range(min(b, c) + 1)))
