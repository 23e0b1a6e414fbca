"""Labels and answers are drawn separately."""

# loses: bootstrap_of_accuracy, bootstrap_of_any_score


# %% bootstrap_interval
def bootstrap_interval(y, answers, metric, resamples, rng):
    scores = []
    for _ in range(resamples):
        i, j = rng.integers(len(y), size=(2, len(y)))
        scores.append(metric(y[i], answers[j]))
    return np.quantile(scores, [0.025, 0.975])
