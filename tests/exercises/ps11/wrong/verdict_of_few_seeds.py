"""Nine seeds are enough for it."""

# loses: verdict_any_differences


# %% verdict
def verdict(differences):
    low, high = paired_interval(differences)
    return int(low > 0) - int(high < 0)
