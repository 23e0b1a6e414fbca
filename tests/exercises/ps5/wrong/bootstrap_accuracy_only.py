"""Accuracy, whatever the metric."""

# loses: bootstrap_of_any_score


# %% bootstrap_interval
def bootstrap_interval(y, answers, metric, resamples, rng):
    scores = []
    for _ in range(resamples):
        i = rng.integers(len(y), size=len(y))
        scores.append(np.mean(y[i] == answers[i]))
    return np.quantile(scores, [0.025, 0.975])
