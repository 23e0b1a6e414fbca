"""Scores on what it learned from."""

# loses: few_shot_draws, few_shot_scores


# %% few_shot
def few_shot(probe, x, y, x_test, y_test, per_class, seeds):
    scores = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        of_class = (np.flatnonzero(y == name) for name in np.unique(y))
        drawn = np.concatenate([rng.choice(these, per_class, replace=False) for these in of_class])
        scores.append(balanced_accuracy(y[drawn], probe(x[drawn], y[drawn], x[drawn])))
    return np.array(scores)
