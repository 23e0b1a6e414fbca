"""Trains on all labels."""

# loses: few_shot_scores_learn, few_shot_scores_over_seeds

# %% few_shot_scores
from sklearn.linear_model import LogisticRegression


def few_shot_scores(features, labels, test_features, test_labels, per_class, seeds):
    scores = []
    for seed in seeds:
        few = few_labels(labels, per_class, seed)
        probe = LogisticRegression(max_iter=500).fit(features, labels)
        scores.append(probe.score(test_features, test_labels))
    return scores
