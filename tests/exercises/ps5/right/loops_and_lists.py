"""Loops over Python's numbers, lists as results, nothing imported but math and random."""

# %% confusion
import math
import random


def confusion(y, answers, n_classes):
    rows = [[0] * n_classes for _ in range(n_classes)]
    for truth, said in zip(y, answers):
        rows[truth][said] += 1
    return rows


# %% class_scores
def class_scores(matrix):
    K = len(matrix)
    precision, recall, f1 = [], [], []
    for k in range(K):
        true_positive = matrix[k][k]
        false_positive = sum(matrix[j][k] for j in range(K)) - true_positive
        false_negative = sum(matrix[k]) - true_positive
        p = true_positive / (true_positive + false_positive) if true_positive else 0
        r = true_positive / (true_positive + false_negative) if true_positive else 0
        precision.append(p)
        recall.append(r)
        f1.append(2 * p * r / (p + r) if p + r > 0 else 0)
    return [precision, recall, f1]


# %% macro_f1
def macro_f1(y, answers, n_classes):
    f1 = class_scores(confusion(y, answers, n_classes))[2]
    return sum(f1) / n_classes


# %% bootstrap_interval
def bootstrap_interval(y, answers, metric, resamples, rng):
    own = random.Random(17)
    pairs = list(zip(y.tolist(), answers.tolist()))
    scores = []
    for _ in range(resamples):
        drawn = own.choices(pairs, k=len(pairs))
        scores.append(metric([a for a, _ in drawn], [b for _, b in drawn]))
    scores.sort()
    return scores[round(0.025 * resamples) - 1], scores[round(0.975 * resamples) - 1]


# %% only_one_reads
def only_one_reads(y, first, second):
    b = c = 0
    for truth, one, other in zip(y, first, second):
        if one == truth and other != truth:
            b += 1
        elif other == truth and one != truth:
            c += 1
    return b, c


# %% mcnemar
def mcnemar(y, first, second):
    b, c = only_one_reads(y, first, second)
    n, p = b + c, 0.0
    for k in range(n + 1):
        if abs(k - n / 2) >= abs(b - n / 2):
            p += math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2))
    return p


# %% gain_interval
def gain_interval(with_source, without):
    from scipy.stats import t

    gains = [a - b for a, b in zip(with_source, without)]
    m = len(gains)
    mean = sum(gains) / m
    s = math.sqrt(sum((g - mean) ** 2 for g in gains) / (m - 1))
    return [mean, t.ppf(0.975, m - 1) * s / math.sqrt(m)]


# %% sources_that_hurt
def sources_that_hurt(runs):
    return {name for name in runs if sum(gain_interval(*runs[name])) < 0}
