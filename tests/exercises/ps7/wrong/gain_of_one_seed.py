"""The spread of a single seed: not divided by the root of n."""

# loses: gain_any_scores

# %% gain
from scipy import stats


def gain(scores, baseline):
    gains = np.asarray(scores) - np.asarray(baseline)
    half = stats.t.ppf(0.975, len(gains) - 1) * np.std(gains, ddof=1)
    return np.mean(gains), np.mean(gains) - half, np.mean(gains) + half
