"""Chooses rightly, and opens the test part for each candidate."""

# loses: choose_by_the_labelled

# %% choose
from sklearn.model_selection import StratifiedKFold


def choose(candidates, x, y, x_test, y_test, budget):
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(y, y))
    validated = {
        name: np.mean([balanced_accuracy(y[held], probe(x[rest], y[rest], x[held])) for rest, held in folds])
        for name, (cost, probe) in candidates.items()
        if cost <= budget
    }
    chosen = max(validated, key=validated.get)
    scores = {name: balanced_accuracy(y_test, candidates[name][1](x, y, x_test)) for name in validated}
    return chosen, scores[chosen]
