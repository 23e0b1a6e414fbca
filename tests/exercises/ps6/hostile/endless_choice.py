"""Never stops choosing."""

# loses: choose_within_the_budget, choose_near_the_best


# %% choose
def choose(labelled, budget):
    while True:
        try:
            list(range(1000))
        except Exception:
            pass
