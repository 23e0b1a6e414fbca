"""The quantiles are mirrored at the score."""

# loses: bootstrap_of_any_score


# %% bootstrap_interval
def bootstrap_interval(y, answers, metric, resamples, rng):
    scores = []
    for _ in range(resamples):
        i = rng.integers(len(y), size=len(y))
        scores.append(metric(y[i], answers[i]))
    return 2 * metric(y, answers) - np.quantile(scores, [0.975, 0.025])
