"""Each choice is scored in every draw."""

# loses: honest_gap_any_scores


# %% honest_gap
def honest_gap(target_scores, chosen_by_scorer):
    return np.mean(target_scores.max(axis=1)) - np.mean(target_scores[:, chosen_by_scorer])
