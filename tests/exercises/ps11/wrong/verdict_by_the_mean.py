"""The sign of the mean."""

# loses: verdict_any_differences


# %% verdict
def verdict(differences):
    return np.sign(np.mean(differences)) if len(differences) >= 10 else 0
