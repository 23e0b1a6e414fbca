"""As many in all, but frequent classes get more."""

# loses: few_shot_draws


# %% few_shot
def few_shot(probe, x, y, x_test, y_test, per_class, seeds):
    scores = []
    for seed in seeds:
        n = per_class * len(np.unique(y))
        drawn = np.random.default_rng(seed).choice(len(y), n, replace=False)
        scores.append(balanced_accuracy(y_test, probe(x[drawn], y[drawn], x_test)))
    return scores
