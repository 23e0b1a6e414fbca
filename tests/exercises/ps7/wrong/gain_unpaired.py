"""Adds the spreads of both, as if they had learned from other draws."""

# loses: gain_any_scores

# %% gain
from scipy import stats


def gain(scores, baseline):
    n = len(scores)
    half = stats.t.ppf(0.975, n - 1) * np.sqrt((np.var(scores, ddof=1) + np.var(baseline, ddof=1)) / n)
    mean = np.mean(scores) - np.mean(baseline)
    return mean, mean - half, mean + half
