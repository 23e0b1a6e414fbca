"""The lowest score."""

# loses: choose_by_information_any_settings


# %% choose_by_information
def choose_by_information(probabilities_by_setting):
    return min(probabilities_by_setting, key=lambda name: information_maximization(probabilities_by_setting[name]))
