"""Chooses by the mean entropy again."""

# loses: choose_by_information_any_settings


# %% choose_by_information
def choose_by_information(probabilities_by_setting):
    return choose(probabilities_by_setting)
