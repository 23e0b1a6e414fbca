"""The best setting on average in place of the best one in each draw."""

# loses: honest_gap_any_scores


# %% honest_gap
def honest_gap(target_scores, chosen_by_scorer):
    chosen = target_scores[np.arange(len(target_scores)), chosen_by_scorer]
    return target_scores.mean(axis=0).max() - chosen.mean()
