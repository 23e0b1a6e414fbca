"""Other ways to the same numbers: counts of pairs, Dice for F1, multinomial weights, the beta function."""


# %% confusion
def confusion(y, answers, n_classes):
    return np.bincount(n_classes * y + answers, minlength=n_classes**2).reshape(n_classes, n_classes)


# %% class_scores
def class_scores(matrix):
    share = matrix / matrix.sum()
    with np.errstate(all="ignore"):
        recall = np.diag(share) / share.sum(axis=1)
        precision = np.diag(share) / share.sum(axis=0)
        f1 = 2 / (1 / precision + 1 / recall)
    return np.nan_to_num(np.stack([precision, recall, f1]))


# %% macro_f1
def macro_f1(y, answers, n_classes):
    y, answers = np.eye(n_classes)[y], np.eye(n_classes)[answers]
    hits, called, present = (y * answers).sum(0), answers.sum(0), y.sum(0)
    return np.divide(2 * hits, called + present, out=np.zeros(n_classes), where=called + present > 0).mean()


# %% bootstrap_interval
def bootstrap_interval(y, answers, metric, resamples, rng):
    counts = rng.multinomial(len(y), np.full(len(y), 1 / len(y)), size=resamples)
    scores = [metric(np.repeat(y, row), np.repeat(answers, row)) for row in counts]
    return np.percentile(scores, [2.5, 97.5], method="nearest")


# %% only_one_reads
def only_one_reads(y, first, second):
    table = confusion((first == y).astype(int), (second == y).astype(int), 2)
    return table[1, 0], table[0, 1]


# %% mcnemar
from scipy.special import betainc


def mcnemar(y, first, second):
    b, c = sorted(only_one_reads(y, first, second))
    if b == c:
        return 1.0
    return 2 * betainc(c, b + 1, 0.5)


# %% gain_interval
from scipy.special import stdtrit


def gain_interval(with_source, without):
    gains = np.subtract(with_source, without)
    variance = np.mean(gains**2) - gains.mean() ** 2
    m = len(gains)
    return gains.mean(), stdtrit(m - 1, 0.975) * np.sqrt(max(variance, 0) / (m - 1))
