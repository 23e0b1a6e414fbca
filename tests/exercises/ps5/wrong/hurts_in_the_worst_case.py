"""The lower end below 0."""

# loses: sources_that_hurt_any_runs, hurting_sources_found_in_digits


# %% sources_that_hurt
def sources_that_hurt(runs):
    return [
        name for name, (with_source, without) in runs.items() if np.subtract(*gain_interval(with_source, without)) < 0
    ]
