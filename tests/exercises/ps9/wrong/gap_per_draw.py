"""One gap per draw."""

# loses: honest_gap_any_scores


# %% honest_gap
def honest_gap(target_scores, chosen_by_scorer):
    return target_scores.max(axis=1) - target_scores[np.arange(len(target_scores)), chosen_by_scorer]
