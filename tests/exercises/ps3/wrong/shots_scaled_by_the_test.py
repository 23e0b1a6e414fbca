"""Standardises the test part by its own mean and spread."""

# loses: few_shot_scores_leak_nothing

# %% few_shot_scores
from sklearn.linear_model import LogisticRegression


def few_shot_scores(features, labels, test_features, test_labels, per_class, seeds):
    scores = []
    for seed in seeds:
        few = few_labels(labels, per_class, seed)
        x, t = features[few], test_features
        probe = LogisticRegression(max_iter=500).fit((x - x.mean(axis=0)) / x.std(axis=0), labels[few])
        scores.append(probe.score((t - t.mean(axis=0)) / t.std(axis=0), test_labels))
    return scores
