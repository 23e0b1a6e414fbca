"""Compares with the mean setting, not with the best one."""

# loses: honest_gap_any_scores


# %% honest_gap
def honest_gap(target_scores, chosen_by_scorer):
    return np.mean(target_scores[np.arange(len(target_scores)), chosen_by_scorer] - target_scores.mean(axis=1))
