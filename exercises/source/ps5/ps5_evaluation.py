# %% [markdown]
# # ps5 · Evaluation
#
# **Question: which errors does a model make, how sure is its score, is another model better, and did the source help or
# hurt?**
#
# Takes 60 to 90 minutes, without a network. Work through notebook 07 first, and sections 1 and "What to do" of 08.
#
# **How it works.** Replace each `raise NotImplementedError()` by your code, and keep the names of the functions. The
# cells below yours hold examples: run them as often as you like. After you have handed in, more tests run, at random
# points. They compare numbers, not spelling: any formula, loop or library that gives the right numbers is right. What
# each of them looks at is written in its cell. Write parts 1, 2 and 4 by hand first; the cells without points then
# compare you with scikit-learn and scipy.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $n$, $K$ | number of test images, of classes | |
# | `y` | the right classes, integers in $0 \dots K-1$ | $n$ |
# | `answers`, `first`, `second` | what a model says, integers in $0 \dots K-1$ | $n$ |
# | $C$ | the confusion matrix: right class in the row, answer in the column | $K \times K$ |

# %% readonly="setup"
import numpy as np

import tlkit

# %% [markdown]
# ## 1. The confusion matrix (9 points)
#
# $C_{jk}$ counts the images of class $j$ that the model called $k$.


# %% solution="confusion"
def confusion(y, answers, n_classes):
    """The confusion matrix, an array of counts of shape (n_classes, n_classes): right class in the row.

    A class may be missing in y, in answers, or in both; it has its row and its column all the same.
    """
    ### BEGIN SOLUTION
    matrix = np.zeros((n_classes, n_classes), dtype=int)
    np.add.at(matrix, (y, answers), 1)
    return matrix
    ### END SOLUTION


# %% test="confusion_examples" points=3
import numpy as np

from tlkit.grading import check_example

# Three images of class 0, of which one is taken for class 1; one of class 1, read well; none of class 2.
check_example(
    confusion,
    (np.array([0, 0, 0, 1]), np.array([0, 1, 0, 1]), 3),
    [[2, 1, 0], [0, 1, 0], [0, 0, 0]],
    reread="notebook 07, section 2",
)

# %% test="confusion_any_answers" points=6
# Hidden: random labels and answers, few and many; sometimes a class is missing.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same

for _seed, (_n, _K) in enumerate([(3, 6), (60, 3), (400, 10)]):
    check_same(
        confusion,
        lambda y, answers, K: [[((y == j) & (answers == k)).sum() for k in range(K)] for j in range(K)],
        lambda rng, n=_n, K=_K: (rng.integers(K, size=n), rng.integers(K, size=n), K),
        seed=501 + _seed,
        reread="notebook 07, section 2",
    )
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Precision, recall, F1 (25 points)
#
# For one class let $h$ be its hits, $C_{kk}$. **Recall** is $h$ divided by all images that *are* of the class,
# **precision** is $h$ divided by all that were *called* so, and **F1** is their harmonic mean, $2pr / (p + r)$.
#
# Where that divides 0 by 0 (a class that nobody was called, or that no image has), the score is 0.


# %% solution="class_scores"
def class_scores(matrix):
    """Precision, recall and F1 of each class, in this order: three arrays of shape (K,).

    matrix is a confusion matrix of shape (K, K), the right class in the row. No warning, no NaN: 0 where 0 / 0.
    """
    ### BEGIN SOLUTION
    hits = np.diag(matrix).astype(float)
    called, present = matrix.sum(axis=0), matrix.sum(axis=1)
    precision = hits / np.maximum(called, 1)
    recall = hits / np.maximum(present, 1)
    both_sums = called + present
    return precision, recall, 2 * hits / np.maximum(both_sums, 1)
    ### END SOLUTION


# %% test="class_scores_examples" points=4
import numpy as np

from tlkit.grading import check_example

# Class 0 has ten images, of which eight were called 0; of the ten that were called 0, all but two are.
check_example(
    class_scores,
    (np.array([[8, 2], [2, 3]]),),
    [[0.8, 0.6], [0.8, 0.6], [0.8, 0.6]],
    reread="notebook 07, section 2",
)
# Everything is called 0. (Class 1 was never called: 0 / 0.)
check_example(
    class_scores,
    (np.array([[6, 0], [2, 0]]),),
    [[0.75, 0], [1, 0], [6 / 7, 0]],
    reread="notebook 07, section 2, and the text above on 0 / 0",
)

# %% test="class_scores_any_matrix" points=9
# Hidden: random matrices, in which each class has images and answers.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _right_scores(matrix):
    scores = []
    for k in range(len(matrix)):
        hits, called, present = int(matrix[k, k]), int(matrix[:, k].sum()), int(matrix[k].sum())
        scores.append([hits / called if called else 0, hits / present if present else 0])
        scores[-1].append(2 / (1 / scores[-1][0] + 1 / scores[-1][1]) if hits else 0)
    return np.transpose(scores)


for _seed, _K in enumerate([2, 3, 7]):
    check_same(
        class_scores,
        _right_scores,
        lambda rng, K=_K: (rng.integers(1, 30, size=(K, K)) + np.diag(rng.integers(40, size=K)),),
        seed=511 + _seed,
        reread="notebook 07, section 2",
    )
### END HIDDEN TESTS

# %% test="class_scores_empty_classes" points=6
# Hidden: matrices in which a class has no images, no answers, no hits, or none of the three.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _right_scores(matrix):
    scores = []
    for k in range(len(matrix)):
        hits, called, present = int(matrix[k, k]), int(matrix[:, k].sum()), int(matrix[k].sum())
        scores.append([hits / called if called else 0, hits / present if present else 0])
        scores[-1].append(2 / (1 / scores[-1][0] + 1 / scores[-1][1]) if hits else 0)
    return np.transpose(scores)


def _with_gaps(rng, gap):
    matrix = rng.integers(1, 30, size=(4, 4))
    k = rng.integers(4)
    if gap in ("row", "both"):
        matrix[k] = 0
    if gap in ("column", "both"):
        matrix[:, k] = 0
    matrix[k, k] = 0
    return (matrix,)


for _seed, _gap in enumerate(["row", "column", "both", "hits"]):
    check_same(
        class_scores,
        _right_scores,
        lambda rng, gap=_gap: _with_gaps(rng, gap),
        seed=521 + _seed,
        points=3,
        reread="part 2 of this notebook, on 0 / 0",
    )
### END HIDDEN TESTS

# %% [markdown]
# One number for all classes: the **macro average** is the plain mean over the $K$ classes, however many images each of
# them has.


# %% solution="macro_f1"
def macro_f1(y, answers, n_classes):
    """The mean of the F1 of all n_classes classes: one number. A class without images and answers counts as 0."""
    ### BEGIN SOLUTION
    return class_scores(confusion(y, answers, n_classes))[2].mean()
    ### END SOLUTION


# %% test="macro_f1_any_answers" points=6
import numpy as np

from tlkit.grading import check_example

# Nine of class 0 and one of class 1, all called 0: accuracy 0.9, and yet
check_example(
    macro_f1, (np.array([0] * 9 + [1]), np.zeros(10, dtype=int), 2), (18 / 19 + 0) / 2, reread="notebook 07, section 2"
)
# Hidden: classes of very different sizes.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _unequal(rng, K):
    y = rng.choice(K, size=120, p=2.0 ** np.arange(K) / (2.0**K - 1))
    return y, np.where(rng.random(120) < 0.6, y, rng.integers(K, size=120)), K


def _mean_f1(y, answers, K):
    hits = [int(((y == k) & (answers == k)).sum()) for k in range(K)]
    total = [int((y == k).sum() + (answers == k).sum()) for k in range(K)]
    return sum(2 * h / t for h, t in zip(hits, total, strict=True) if t) / K


for _seed, _K in enumerate([2, 4, 6]):
    check_same(
        macro_f1,
        _mean_f1,
        lambda rng, K=_K: _unequal(rng, K),
        seed=531 + _seed,
        reread="notebook 07, section 2, on the macro average",
    )
### END HIDDEN TESTS

# %% [markdown]
# Now compare yourself with scikit-learn (no points).

# %%
from sklearn.metrics import classification_report

rng = np.random.default_rng(0)
y_try = rng.integers(3, size=50)
answers_try = np.where(rng.random(50) < 0.7, y_try, rng.integers(3, size=50))
print(classification_report(y_try, answers_try, digits=4))
class_scores(confusion(y_try, answers_try, 3)), macro_f1(y_try, answers_try, 3)

# %% [markdown]
# ## 3. How sure is the score? The bootstrap (18 points)
#
# Draw a new test set of $n$ images from your own, **with replacement**, and score it; repeat. The middle 95 % of those
# scores is the percentile interval: from their 0.025 quantile to their 0.975 quantile.


# %% solution="bootstrap_interval"
def bootstrap_interval(y, answers, metric, resamples, rng):
    """Both ends of the 95 % percentile interval of metric(y, answers): a pair of numbers, the lower one first.

    metric takes labels and answers, two arrays of one length, and returns a number. resamples is the number of test
    sets to draw, and rng a NumPy generator to draw with (np.random.default_rng).
    """
    ### BEGIN SOLUTION
    scores = []
    for _ in range(resamples):
        drawn = rng.integers(len(y), size=len(y))
        scores.append(metric(y[drawn], answers[drawn]))
    low, high = np.quantile(scores, [0.025, 0.975])
    return low, high
    ### END SOLUTION


# %% test="bootstrap_of_accuracy" points=9
import numpy as np

from tlkit.grading import check_example


def accuracy(y, answers):
    return np.mean(np.asarray(y) == np.asarray(answers))


# A model that is always right, and one that is always wrong: nothing varies.
check_example(
    bootstrap_interval,
    (np.arange(20) % 4, np.arange(20) % 4, accuracy, 200, np.random.default_rng(0)),
    [1.0, 1.0],
    reread="notebook 07, section 4",
)
check_example(
    bootstrap_interval,
    (np.arange(20) % 4, np.arange(1, 21) % 4, accuracy, 200, np.random.default_rng(0)),
    [0.0, 0.0],
    reread="notebook 07, section 4",
)
# Hidden: random models with 60 to 95 % right answers. Your draws are your own: each end may be as far from where it
# would be with endlessly many test sets as 2,000 test sets can put it.
### BEGIN HIDDEN TESTS
import math

from tlkit.grading import check_result
from tlkit.grading.scores import Share

# The number of right answers in a drawn test set is binomial; the empirical quantile lies between these of its
# quantiles in all but one of a million runs.
_SLACK = 5 * math.sqrt(0.025 * 0.975 / 2000)


def _quantile(level, n, hits):
    """The level's quantile of the hits in n draws, with replacement, from n images of which so many are hits."""
    total = 0
    for k in range(n + 1):
        total += math.comb(n, k) * hits**k * (n - hits) ** (n - k) / n**n
        if total >= level:
            return k
    return n


def _ends_of_accuracy(got, y, answers, metric, resamples, rng):
    if not (isinstance(got, list) and len(got) == 2 and isinstance(got[0], float)):
        return "must return two numbers"
    n, hits = len(y), int((y == answers).sum())
    for end, came, level in zip(("lower", "upper"), got, (0.025, 0.975), strict=True):
        least, most = (_quantile(level + slack, n, hits) / n for slack in (-_SLACK, _SLACK))
        if not least - 1e-6 <= came <= most + 1e-6:
            side = "low" if came < least else "high"
            return f"is wrong for {n} images, {hits} of them right: its {end} end is too {side}"
    return ""


def _model(rng):
    n = int(rng.integers(200, 400))
    y = rng.integers(5, size=n)
    return y, (y + (rng.random(n) > rng.uniform(0.6, 0.95))) % 5, Share(), 2000, np.random.default_rng(rng)


check_result(bootstrap_interval, _ends_of_accuracy, _model, seed=541, seconds=8, reread="notebook 07, section 4")
### END HIDDEN TESTS

# %% test="bootstrap_of_any_score" points=9
# Hidden: another score than accuracy, whose distribution is lopsided, on 60 images.
### BEGIN HIDDEN TESTS
import math

import numpy as np

from tlkit.grading import check_result
from tlkit.grading.scores import Share

_SLACK = 5 * math.sqrt(0.025 * 0.975 / 2000)


def _quantile(level, n, hits):
    """The level's quantile of the hits in n draws, with replacement, from n images of which so many are hits."""
    total = 0
    for k in range(n + 1):
        total += math.comb(n, k) * hits**k * (n - hits) ** (n - k) / n**n
        if total >= level:
            return k
    return n


def _stretched(share):
    return 1 / (1.05 - share)


def _ends_of_score(got, y, answers, metric, resamples, rng):
    if not (isinstance(got, list) and len(got) == 2 and isinstance(got[0], float)):
        return "must return two numbers"
    # The score rises with a share, so its quantiles are those of the share, stretched.
    n, hits = len(y), int((answers <= y).sum())
    for end, came, level in zip(("lower", "upper"), got, (0.025, 0.975), strict=True):
        least, most = (_stretched(_quantile(level + slack, n, hits) / n) for slack in (-_SLACK, _SLACK))
        if not least - 1e-6 <= came <= most + 1e-6:
            side = "low" if came < least else "high"
            return f"is wrong for a lopsided score of {n} images: its {end} end is too {side}"
    return ""


def _lopsided(rng):
    y = rng.integers(1, 5, size=60)
    answers = y + rng.choice([-1, 0, 1], p=[0.4, 0.5, 0.1], size=60)
    return y, answers, Share(or_less=True, stretched=True), 2000, np.random.default_rng(rng)


check_result(bootstrap_interval, _ends_of_score, _lopsided, seed=551, seconds=8, reread="notebook 07, section 4")
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Two models, the same images (25 points)
#
# An image that both models read, or both miss, says nothing about which is better. Count the others: $b$ images that
# only the first model reads, $c$ that only the second reads.


# %% solution="only_one_reads"
def only_one_reads(y, first, second):
    """How many images only the first model reads, and how many only the second: a pair of integers (b, c)."""
    ### BEGIN SOLUTION
    one, other = first == y, second == y
    return int(np.sum(one & ~other)), int(np.sum(other & ~one))
    ### END SOLUTION


# %% test="only_one_reads_any_models" points=5
import numpy as np

from tlkit.grading import check_example

# The first image: only the first model. The second: both. The third: neither, though they disagree.
check_example(
    only_one_reads,
    (np.array([0, 1, 2]), np.array([0, 1, 1]), np.array([2, 1, 0])),
    [1, 0],
    reread="notebook 07, section 5",
)
# Hidden: random models.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _counted(y, first, second):
    gain = (first == y).astype(int) - (second == y).astype(int)
    return [np.count_nonzero(gain > 0), np.count_nonzero(gain < 0)]


check_same(
    only_one_reads,
    _counted,
    lambda rng: tuple(rng.integers(3, size=(3, int(rng.integers(5, 200))))),
    seed=561,
    reread="notebook 07, section 5",
)
### END HIDDEN TESTS

# %% [markdown]
# Were both models equally good, each of the $b + c$ images would be the toss of a fair coin. The **p-value** of
# McNemar's test (1947), in its exact form, is how often $b + c$ tosses come out at least as one-sided as yours did, **to
# either side**. With $b + c = 0$ there is nothing to tell, and $p = 1$. A p-value is never above 1.


# %% solution="mcnemar"
def mcnemar(y, first, second):
    """The two-sided exact p-value of McNemar's test: one number, 0..1. Thousands of images are no problem."""
    ### BEGIN SOLUTION
    from math import comb

    b, c = only_one_reads(y, first, second)
    tail = sum(comb(b + c, k) for k in range(min(b, c) + 1))
    return min(1.0, 2 * tail / 2 ** (b + c))
    ### END SOLUTION


# %% test="mcnemar_examples" points=4
import numpy as np

from tlkit.grading import check_example

# Seven images. Only the first model reads five of them, both read the others: five tosses, all heads, or all tails.
check_example(
    mcnemar,
    (np.zeros(7, dtype=int), np.zeros(7, dtype=int), np.array([1, 1, 1, 1, 1, 0, 0])),
    2 * 0.5**5,
    reread="notebook 07, section 5",
)

# %% test="mcnemar_any_models" points=8
# Hidden: pairs of random models, alike and unlike, on 30 to 300 images.
### BEGIN HIDDEN TESTS
import math

import numpy as np

from tlkit.grading import check_same


def _exact(y, first, second):
    one, other = first == y, second == y
    b, c = int((one & ~other).sum()), int((other & ~one).sum())
    as_one_sided = sum(math.comb(b + c, k) for k in range(b + c + 1) if abs(2 * k - b - c) >= abs(b - c))
    return as_one_sided / 2 ** (b + c)


def _models(rng, lead):
    n = int(rng.integers(30, 300))
    y = rng.integers(4, size=n)
    shift = rng.integers(1, 4, size=n)
    first = np.where(rng.random(n) < 0.65 + lead, y, (y + shift) % 4)
    second = np.where(rng.random(n) < 0.65, y, (y + shift % 3 + 1) % 4)
    second[:3], first[:3] = (y[:3] + 1) % 4, y[:3]  # never without a difference
    return y, first, second


for _seed, _lead in enumerate([0.15, 0.05, -0.15]):
    check_same(
        mcnemar, _exact, lambda rng, lead=_lead: _models(rng, lead), seed=571 + _seed, reread="notebook 07, section 5"
    )
### END HIDDEN TESTS

# %% test="mcnemar_no_difference" points=4
# Hidden: models that are right on the same images, and models with b = c.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _equally_good(rng, split):
    y = rng.integers(3, size=40)
    first, second = np.where(rng.random((2, 40)) < 0.0, 0, y)
    wrong = rng.permutation(40)
    both, one, other = wrong[:5], wrong[5 : 5 + split], wrong[20 : 20 + split]
    first[both], second[both] = (y[both] + 1) % 3, (y[both] + 2) % 3
    first[one] = (y[one] + 1) % 3
    second[other] = (y[other] + 1) % 3
    return y, first, second


for _seed, _split in enumerate([0, 1, 6]):
    check_same(
        mcnemar,
        lambda y, first, second: 1.0,
        lambda rng, split=_split: _equally_good(rng, split),
        seed=581 + _seed,
        points=2,
        reread="part 4 of this notebook, on b = c",
    )
### END HIDDEN TESTS

# %% test="mcnemar_many_images" points=4
# Hidden: 5,000 images, on about 1,300 of which only one model is right. 0.5 to that power fits in no float.
### BEGIN HIDDEN TESTS
import math

import numpy as np

from tlkit.grading import check_same


def _exact(y, first, second):
    one, other = first == y, second == y
    b, c = int((one & ~other).sum()), int((other & ~one).sum())
    as_one_sided = sum(math.comb(b + c, k) for k in range(b + c + 1) if abs(2 * k - b - c) >= abs(b - c))
    return as_one_sided / 2 ** (b + c)


def _large(rng):
    y = rng.integers(10, size=5000)
    wrong = (y + 1) % 10
    case = rng.choice(4, size=len(y), p=[0.7, 0.04, 0.142, 0.118])
    return y, np.where(np.isin(case, (0, 2)), y, wrong), np.where(np.isin(case, (0, 3)), y, wrong)


check_same(mcnemar, _exact, _large, seed=591, points=2, reread="part 4 of this notebook")
### END HIDDEN TESTS

# %% [markdown]
# Compare yourself with scipy (no points): `binomtest` tosses the coins for you.

# %%
from scipy import stats

second_try = np.where(rng.random(50) < 0.5, y_try, (y_try + 1) % 3)
b, c = only_one_reads(y_try, answers_try, second_try)
b, c, mcnemar(y_try, answers_try, second_try), stats.binomtest(b, b + c).pvalue

# %% [markdown]
# ## 5. Did the source help or hurt? (23 points)
#
# A test of two models is no test of two methods: another draw of the few target labels gives another model. So the
# question "does this source help?" is asked over several draws, and for one draw **both** ways get the **same** labels.
# What counts is the difference within each draw.
#
# The source here is not a pretrained network but the simplest thing that can be transferred: labelled images of another
# domain, which are mixed with the few of the target. `mixed` does that. Scored is on the target's test images.

# %% readonly="mixing"
from tlkit.domains import Split


def mixed(one, other):
    """The examples of both splits as one."""
    return Split(np.concatenate([one.x, other.x]), np.concatenate([one.y, other.y]))


# %% solution="runs_over_seeds"
def runs_over_seeds(source, pool, test, per_class, seeds, score):
    """Target accuracies with and without the source: a pair of arrays of shape (len(seeds),), "with" first.

    For each seed the target's labels are pool.take(per_class, seed=seed), and both ways learn from these. source, pool
    and test are Splits; score(train, test) trains on one split and returns the accuracy on the other.
    """
    ### BEGIN SOLUTION
    with_source, without = [], []
    for seed in seeds:
        few = pool.take(per_class, seed=seed)
        with_source.append(score(mixed(source, few), test))
        without.append(score(few, test))
    return np.array(with_source), np.array(without)
    ### END SOLUTION


# %% test="runs_over_seeds_any_source" points=8
# Hidden: random sources, pools and test sets, several numbers of labels, and seeds such as [7, 2, 11]. The labels must be
# those that pool.take gives for the seed, the same for both ways, and the score that of the test images.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.domains import Split
from tlkit.grading import check_same


def _nearest_mean(train, test):
    means = np.stack([train.x[train.y == k].mean(axis=0, dtype=np.float64) for k in range(3)])
    gaps = ((test.x[:, None, :] - means) ** 2).sum(axis=2)
    return float((gaps.argmin(axis=1) == test.y).mean())


def _split(rng, per_class, centres):
    y = np.repeat(np.arange(3), per_class)
    return Split((centres[y] + 1.5 * rng.normal(size=(len(y), 4))).astype(np.float32), y)


def _experiment(rng):
    target, source = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    seeds = rng.permutation(50)[:6].tolist()
    splits = _split(rng, 5, source), _split(rng, 30, target), _split(rng, 100, target)
    return *splits, int(rng.integers(1, 4)), seeds, _nearest_mean


def _right_runs(source, pool, test, per_class, seeds, score):
    draws = [pool.take(per_class, seed=seed) for seed in seeds]
    more = [Split(np.vstack([d.x, source.x]), np.hstack([d.y, source.y])) for d in draws]
    return np.array([[score(split, test) for split in splits] for splits in (more, draws)])


check_same(
    runs_over_seeds, _right_runs, _experiment, seed=601, reread="part 5 of this notebook, on the same labels for both"
)
### END HIDDEN TESTS

# %% [markdown]
# The **gain** of a draw is the accuracy with the source minus the one without. Its 95 % interval is
#
# $$\bar g \pm t_{0.975,\,m-1}\, \frac{s}{\sqrt m}$$
#
# for $m$ draws, where $s$ is the sample standard deviation of the **gains** (divided by $m - 1$) and $t$ the quantile of
# Student's distribution (`scipy.stats.t.ppf(0.975, m - 1)`).


# %% solution="gain_interval"
def gain_interval(with_source, without):
    """Mean gain, and half the width of its 95 % interval: a pair of numbers.

    Both arrays have the shape (m,), m draws of the labels, 2 or more; entry i of both belongs to the same draw.
    """
    ### BEGIN SOLUTION
    from scipy import stats

    gains = np.asarray(with_source) - np.asarray(without)
    m = len(gains)
    return gains.mean(), stats.t.ppf(0.975, m - 1) * gains.std(ddof=1) / np.sqrt(m)
    ### END SOLUTION


# %% test="gain_interval_any_runs" points=7
import numpy as np

from tlkit.grading import check_example

# Every draw gains 0.03, however different the draws are: nothing varies but the labels, and they vary for both.
check_example(
    gain_interval,
    (np.array([0.53, 0.73, 0.93]), np.array([0.5, 0.7, 0.9])),
    [0.03, 0.0],
    tolerance=1e-3,
    reread="notebook 08, section 1",
)
# Hidden: random accuracies over 3 to 12 draws; some draws are hard for both ways.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same

# Student's t, 0.975: for 3 to 12 draws.
_T = (4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139, 2.200985)


def _paired_interval(with_source, without):
    gains = [float(one - other) for one, other in zip(with_source, without, strict=True)]
    m = len(gains)
    mean = sum(gains) / m
    variance = sum((gain - mean) ** 2 for gain in gains) / (m - 1)
    return [mean, _T[m - 3] * (variance / m) ** 0.5]


def _runs(rng):
    m = int(rng.integers(3, 13))
    hard = rng.uniform(0.4, 0.8, size=m)
    return hard + rng.normal(0.02, 0.03, size=m), hard + rng.normal(0, 0.02, size=m)


check_same(gain_interval, _paired_interval, _runs, seed=611, points=8, reread="part 5 of this notebook")
### END HIDDEN TESTS

# %% [markdown]
# A source **hurts** if the whole interval of its gain lies below 0. A mean below 0 alone may be chance.


# %% solution="sources_that_hurt"
def sources_that_hurt(runs):
    """The names of the sources that hurt, as a list or a set.

    runs is a dictionary from a name to a pair (with_source, without), as runs_over_seeds returns it.
    """
    ### BEGIN SOLUTION
    hurting = []
    for name, (with_source, without) in runs.items():
        mean, half = gain_interval(with_source, without)
        if mean + half < 0:
            hurting.append(name)
    return hurting
    ### END SOLUTION


# %% test="sources_that_hurt_any_runs" points=4
# Hidden: sources that hurt much, that hurt a little but in each draw, that help, and whose loss may be chance.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same

_KINDS = {"much": (-0.2, 0.03), "little": (-0.01, 0.003), "chance": (-0.01, 0.1), "help": (0.1, 0.03), "none": (0, 0)}


def _several_sources(rng):
    runs = {}
    for kind in rng.permutation(list(_KINDS)):
        mean, spread = _KINDS[kind]
        noise = rng.normal(size=8)
        noise = (noise - noise.mean()) / noise.std(ddof=1)
        hard = rng.uniform(0.4, 0.8, size=8)
        runs[f"{kind} {rng.integers(1000)}"] = (hard + mean + spread * noise, hard)
    return (runs,)


def _named(runs):
    names = sources_that_hurt(runs)
    names = [names] if isinstance(names, str) else list(names)  # one name alone is a collection of letters
    return [*(name in names for name in runs), sum(name not in runs for name in names)]


_named.__name__ = "sources_that_hurt"
check_same(
    _named,
    lambda runs: [*(name.startswith(("much", "little")) for name in runs), 0],
    _several_sources,
    seed=621,
    reread="notebook 08, section 1, and part 5 of this notebook",
)
### END HIDDEN TESTS

# %% [markdown]
# Now find it in real data. The target is handwriting (`mnist`). Three sources lend ten images per class: printed digits,
# other handwriting (`optdigits`), and clothes (`fashion`), whose ten classes are taken for digits. The classifier
# compares an image with the mean image of each class.
#
# **Predict before you run:** which source helps with one label a class? With five? Does a source that helps keep helping
# as your own labels grow?


# %% readonly="digits"
def coarse(split):
    """Every fourth pixel of every fourth row, as features in 0..1."""
    return Split(split.x[:, 2::4, 2::4].reshape(len(split), -1) / np.float32(255), split.y)


def nearest_mean(train, test):
    """The test accuracy of a classifier that compares with the mean of each class."""
    means = np.stack([train.x[train.y == k].mean(axis=0) for k in range(10)])
    distances = (means**2).sum(axis=1) - 2 * test.x @ means.T  # without the part that all classes share
    return float((distances.argmin(axis=1) == test.y).mean())


target = tlkit.load_domain("mnist")
pool, test = coarse(target.train[:1500]), coarse(target.test[:1000])
domains = {name: tlkit.load_domain(name) for name in ("printed", "optdigits", "fashion")}
domains["printed"] = domains["printed"].restrict_to(target.classes)
lent = {name: coarse(domain.train.take(10, seed=0)) for name, domain in domains.items()}

# %%
runs = {
    f"{name}, {per_class} a class": runs_over_seeds(source, pool, test, per_class, range(10), nearest_mean)
    for name, source in lent.items()
    for per_class in (1, 5, 20)
}
for name, (with_source, without) in runs.items():
    mean, half = gain_interval(with_source, without)
    print(f"{name:22} without {without.mean():.3f}, gain {mean:+.3f} ± {half:.3f}")
sources_that_hurt(runs)

# %% test="hurting_sources_found_in_digits" points=4
# Hidden: these very runs, measured again by the grader. Names whose interval ends all but at 0 are not counted.
### BEGIN HIDDEN TESTS
import numpy as np

import tlkit
from tlkit.domains import Split
from tlkit.grading import check_same


def _coarse(split):
    return Split(split.x[:, 2::4, 2::4].reshape(len(split), -1) / np.float32(255), split.y)


def _mean_image(train, test):
    means = np.stack([train.x[train.y == k].mean(axis=0) for k in range(10)])
    scores = test.x @ means.T - (means**2).sum(axis=1) / 2
    return float((scores.argmax(axis=1) == test.y).mean())


def _measured(_rng):
    target = tlkit.load_domain("mnist")
    pool, test = _coarse(target.train[:1500]), _coarse(target.test[:1000])
    runs = {}
    for name in ("printed", "optdigits", "fashion"):
        domain = tlkit.load_domain(name)
        domain = domain.restrict_to(target.classes) if name == "printed" else domain
        source = _coarse(domain.train.take(10, seed=0))
        for per_class in (1, 5, 20):
            few = [pool.take(per_class, seed=s) for s in range(10)]
            more = [Split(np.vstack([f.x, source.x]), np.hstack([f.y, source.y])) for f in few]
            accuracies = np.array([[_mean_image(split, test) for split in splits] for splits in (more, few)])
            runs[f"{name}, {per_class} a class"] = tuple(accuracies)
    return (runs,)


def _border(runs):
    """Whether each source hurts, and whether the upper end of its gain's interval is clearly not 0."""
    said = []
    for with_source, without in runs.values():
        gains = [float(one - other) for one, other in zip(with_source, without, strict=True)]
        mean = sum(gains) / 10
        half = 2.262157 * (sum((gain - mean) ** 2 for gain in gains) / 9 / 10) ** 0.5  # Student's t for ten draws
        said.append((mean + half < 0, abs(mean + half) > 0.2 * half))
    return said


def _named_clearly(runs):
    names = sources_that_hurt(runs)
    names = [names] if isinstance(names, str) else list(names)
    said = [name in names and clear for name, (_, clear) in zip(runs, _border(runs), strict=True)]
    return [*said, sum(name not in runs for name in names)]


_named_clearly.__name__ = "sources_that_hurt"
check_same(
    _named_clearly,
    lambda runs: [*(hurts and clear for hurts, clear in _border(runs)), 0],
    _measured,
    seed=631,
    points=1,
    reread="notebook 08, section 1, and part 5 of this notebook",
)
### END HIDDEN TESTS

# %% [markdown]
# ## 6. To think about (no points)
#
# Clothes hurt at every number of labels here. Print helps with one label a class and hurts with five: the same source,
# the same target. A report of negative transfer, or of its absence, means nothing until it names the budget and the
# baseline. Which sentence would you write about `optdigits`, and how many draws would settle it?
