"""The highest entropy."""

# loses: choose_any_settings


# %% choose
def choose(probabilities_by_setting):
    return max(probabilities_by_setting, key=lambda name: mean_entropy(probabilities_by_setting[name]))
