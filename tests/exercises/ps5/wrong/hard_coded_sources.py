"""The names that the notebook printed, typed in."""

# loses: sources_that_hurt_any_runs


# %% sources_that_hurt
def sources_that_hurt(runs):
    return [
        "printed, 5 a class",
        "printed, 20 a class",
        "optdigits, 5 a class",
        *(f"fashion, {number} a class" for number in (1, 5, 20)),
    ]
