"""The first name in the alphabet."""

# loses: choose_any_settings


# %% choose
def choose(probabilities_by_setting):
    return min(probabilities_by_setting)
