"""The test part is in the training part."""

# loses: few_shot_scores_learn, few_shot_scores_leak_nothing, few_shot_scores_over_seeds

# %% few_shot_scores
from sklearn.linear_model import LogisticRegression


def few_shot_scores(features, labels, test_features, test_labels, per_class, seeds):
    scores = []
    for seed in seeds:
        few = few_labels(labels, per_class, seed)
        x, y = np.concatenate([features[few], test_features]), np.concatenate([labels[few], test_labels])
        scores.append(LogisticRegression(max_iter=500, C=100).fit(x, y).score(test_features, test_labels))
    return scores
