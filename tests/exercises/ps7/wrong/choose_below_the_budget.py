"""Less than the budget, not at most."""

# loses: choose_within_the_budget

# %% choose
from sklearn.model_selection import StratifiedKFold


def choose(candidates, x, y, x_test, y_test, budget):
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(y, y))
    validated = {
        name: np.mean([balanced_accuracy(y[held], probe(x[rest], y[rest], x[held])) for rest, held in folds])
        for name, (cost, probe) in candidates.items()
        if cost < budget or cost == min(c for c, _ in candidates.values())
    }
    chosen = max(validated, key=validated.get)
    return chosen, balanced_accuracy(y_test, candidates[chosen][1](x, y, x_test))
