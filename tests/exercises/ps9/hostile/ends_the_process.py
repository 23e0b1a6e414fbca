"""os._exit() in a function: what was tested before counts."""

# loses: honest_gap_any_scores

# %% honest_gap
import os


def honest_gap(target_scores, chosen_by_scorer):
    os._exit(0)
