"""1.96 for t, with few seeds."""

# loses: gain_any_scores


# %% gain
def gain(scores, baseline):
    gains = np.asarray(scores) - np.asarray(baseline)
    half = 1.96 * np.std(gains, ddof=1) / np.sqrt(len(gains))
    return np.mean(gains), np.mean(gains) - half, np.mean(gains) + half
