"""The first seed for all."""

# loses: few_shot_scores_over_seeds

# %% few_shot_scores
from sklearn.linear_model import LogisticRegression


def few_shot_scores(features, labels, test_features, test_labels, per_class, seeds):
    few = few_labels(labels, per_class, seeds[0])
    probe = LogisticRegression(max_iter=500).fit(features[few], labels[few])
    return [probe.score(test_features, test_labels) for seed in seeds]
