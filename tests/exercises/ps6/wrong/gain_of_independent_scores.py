"""An interval as if the two columns had nothing to do with each other."""

# loses: gain_any_scores

# %% gain
from scipy import stats


def gain(scores):
    test = stats.ttest_ind(scores[:, 0], scores[:, 1])
    low, high = test.confidence_interval(0.95)
    return np.mean(scores[:, 0] - scores[:, 1]), low, high
