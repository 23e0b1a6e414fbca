"""Validates on what was learned: who remembers wins."""

# loses: choose_by_the_labelled


# %% choose
def choose(candidates, x, y, x_test, y_test, budget):
    scores = {
        name: balanced_accuracy(y, probe(x, y, x)) for name, (cost, probe) in candidates.items() if cost <= budget
    }
    chosen = max(scores, key=scores.get)
    return chosen, balanced_accuracy(y_test, candidates[chosen][1](x, y, x_test))
