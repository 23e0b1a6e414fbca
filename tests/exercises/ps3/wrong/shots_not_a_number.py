"""The mean of no score."""

# loses: few_shot_scores_learn, few_shot_scores_leak_nothing, few_shot_scores_over_seeds


# %% few_shot_scores
def few_shot_scores(features, labels, test_features, test_labels, per_class, seeds):
    return [float("nan") for seed in seeds]
