"""The lowest entropy itself."""

# loses: choose_any_settings


# %% choose
def choose(probabilities_by_setting):
    return min(mean_entropy(answers) for answers in probabilities_by_setting.values())
