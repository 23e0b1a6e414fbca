"""The last time that a run comes from below, not the first."""

# loses: episodes_to_threshold_any_run


# %% episodes_to_threshold
def episodes_to_threshold(returns, threshold, window):
    means = np.lib.stride_tricks.sliding_window_view(returns, window, axis=1).mean(axis=2)
    below = means < threshold
    last = np.where(below.any(axis=1), below.shape[1] - below[:, ::-1].argmax(axis=1), 0)
    return np.where((~below).any(axis=1), last + window, np.nan)
