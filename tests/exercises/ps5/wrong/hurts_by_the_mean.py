"""A mean below 0, also where chance would do that."""

# loses: sources_that_hurt_any_runs, hurting_sources_found_in_digits


# %% sources_that_hurt
def sources_that_hurt(runs):
    return [name for name, (with_source, without) in runs.items() if np.mean(with_source) < np.mean(without)]
