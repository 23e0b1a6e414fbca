"""Not divided by the root of n."""

# loses: interval_any_scores

# %% interval
from scipy import stats


def interval(scores):
    return np.mean(scores), stats.t.ppf(0.975, len(scores) - 1) * np.std(scores, ddof=1)
