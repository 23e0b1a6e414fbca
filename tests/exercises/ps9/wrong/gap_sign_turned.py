"""The honest minus the flattered accuracy."""

# loses: honest_gap_any_scores


# %% honest_gap
def honest_gap(target_scores, chosen_by_scorer):
    chosen = target_scores[np.arange(len(target_scores)), chosen_by_scorer]
    return np.mean(chosen - target_scores.max(axis=1))
