"""Prints, warns, uses names that the tests use, 32 bits, and a global generator."""

# %% confusion
import sys
import warnings

_right_scores = _model = _runs = _measured = check_same = accuracy = "mine"
np.seterr(all="raise")


def confusion(y, answers, n_classes):
    print("counting", len(y))
    print("careful", file=sys.stderr)
    warnings.warn("slow")
    return np.float32([[np.sum((y == j) & (answers == k)) for k in range(n_classes)] for j in range(n_classes)])


# %% class_scores
def class_scores(matrix):
    hits = np.float32(matrix.diagonal())
    precision, recall, f1 = np.zeros((3, len(matrix)), dtype=np.float32)
    for k in range(len(matrix)):
        if hits[k]:
            precision[k] = hits[k] / np.float32(matrix[:, k].sum())
            recall[k] = hits[k] / np.float32(matrix[k].sum())
            f1[k] = 2 * precision[k] * recall[k] / (precision[k] + recall[k])
    return precision, recall, f1


# %% bootstrap_interval
def bootstrap_interval(y, answers, metric, resamples, rng):
    np.random.seed(1)
    scores = []
    for _ in range(resamples):
        i = np.random.choice(len(y), len(y))
        scores.append(float(metric(y[i], answers[i])))
    print("from", min(scores), "to", max(scores))
    return tuple(np.float32(np.quantile(scores, (0.025, 0.975))))


# %% sources_that_hurt
def sources_that_hurt(runs):
    for name in runs:
        mean, half = gain_interval(*runs[name])
        if mean + half < 0:
            print(name, "hurts")
            yield name
