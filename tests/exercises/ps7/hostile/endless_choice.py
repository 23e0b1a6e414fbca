"""Never stops choosing."""

# loses: choose_within_the_budget, choose_by_the_labelled


# %% choose
def choose(candidates, x, y, x_test, y_test, budget):
    while True:
        try:
            list(range(1000))
        except:
            pass
