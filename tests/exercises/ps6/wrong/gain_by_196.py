"""1.96 for any number of draws."""

# loses: gain_any_scores


# %% gain
def gain(scores):
    gains = scores[:, 0] - scores[:, 1]
    half = 1.96 * gains.std(ddof=1) / np.sqrt(len(gains))
    return gains.mean(), gains.mean() - half, gains.mean() + half
