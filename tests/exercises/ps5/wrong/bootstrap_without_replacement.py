"""Every drawn test set is the old one in another order."""

# loses: bootstrap_of_accuracy, bootstrap_of_any_score


# %% bootstrap_interval
def bootstrap_interval(y, answers, metric, resamples, rng):
    scores = []
    for _ in range(resamples):
        i = rng.permutation(len(y))
        scores.append(metric(y[i], answers[i]))
    return np.quantile(scores, [0.025, 0.975])
