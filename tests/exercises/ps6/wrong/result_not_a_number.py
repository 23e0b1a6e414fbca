"""Scores that are no numbers."""

# loses: my_result_is_complete, my_result_is_true


# %% my_result
def my_result():
    target = load_target()
    plan = choose(target.train.take(PER_CLASS, seed=0), MULTIPLY_ADDS)
    return plan, np.full((5, 2), np.nan)
