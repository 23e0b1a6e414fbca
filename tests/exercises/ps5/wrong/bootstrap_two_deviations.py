"""Mean and two standard deviations, as if the scores were normal."""

# loses: bootstrap_of_any_score


# %% bootstrap_interval
def bootstrap_interval(y, answers, metric, resamples, rng):
    scores = []
    for _ in range(resamples):
        i = rng.integers(len(y), size=len(y))
        scores.append(metric(y[i], answers[i]))
    return np.mean(scores) - 1.96 * np.std(scores), np.mean(scores) + 1.96 * np.std(scores)
