"""1.96 for t, with few scores."""

# loses: interval_any_scores

# %% interval
from scipy import stats


def interval(scores):
    return np.mean(scores), 1.96 * np.std(scores, ddof=1) / np.sqrt(len(scores))
