"""The number of the window, not of the episodes."""

# loses: episodes_to_threshold_any_run, episodes_to_threshold_never_reached, episodes_to_threshold_reached_exactly


# %% episodes_to_threshold
def episodes_to_threshold(returns, threshold, window):
    means = np.lib.stride_tricks.sliding_window_view(returns, window, axis=1).mean(axis=2)
    reached = means >= threshold
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, np.nan)
