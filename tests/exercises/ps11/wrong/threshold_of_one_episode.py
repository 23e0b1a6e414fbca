"""A single episode is enough."""

# loses: episodes_to_threshold_any_run, episodes_to_threshold_never_reached, episodes_to_threshold_reached_exactly


# %% episodes_to_threshold
def episodes_to_threshold(returns, threshold, window):
    reached = returns >= threshold
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, np.nan)
