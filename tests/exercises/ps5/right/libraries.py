"""scikit-learn, scipy and tlkit do all of it."""

# %% confusion
from scipy import stats
from sklearn import metrics


def confusion(y, answers, n_classes):
    return metrics.confusion_matrix(y, answers, labels=np.arange(n_classes))


# %% class_scores
def class_scores(matrix):
    rows, columns = np.indices(matrix.shape)
    y, answers = np.repeat(rows, matrix.ravel()), np.repeat(columns, matrix.ravel())
    scores = metrics.precision_recall_fscore_support(y, answers, labels=range(len(matrix)), zero_division=0)
    return scores[:3]


# %% macro_f1
def macro_f1(y, answers, n_classes):
    return metrics.f1_score(y, answers, labels=range(n_classes), average="macro")  # warns where 0 / 0


# %% bootstrap_interval
def bootstrap_interval(y, answers, metric, resamples, rng):
    found = stats.bootstrap(
        (y, answers),
        metric,
        paired=True,
        vectorized=False,
        n_resamples=resamples,
        method="percentile",
        rng=rng,
    )
    return found.confidence_interval


# %% mcnemar
def mcnemar(y, first, second):
    b, c = only_one_reads(y, first, second)
    return stats.binomtest(b, b + c).pvalue if b + c else 1.0


# %% runs_over_seeds
import pandas as pd


def runs_over_seeds(source, pool, test, per_class, seeds, score):
    table = pd.DataFrame(
        {
            seed: {
                "with": score(mixed(pool.take(per_class, seed=seed), source), test),
                "without": score(pool.take(per_class, seed=seed), test),
            }
            for seed in seeds
        }
    )
    return table.loc["with"], table.loc["without"]


# %% gain_interval
def gain_interval(with_source, without):
    low, high = stats.ttest_rel(with_source, without).confidence_interval()
    return np.array([low + high, high - low]) / 2


# %% sources_that_hurt
def sources_that_hurt(runs):
    hurt = [name for name in runs if stats.ttest_rel(*runs[name], alternative="less").pvalue < 0.025]
    return np.array(hurt)
