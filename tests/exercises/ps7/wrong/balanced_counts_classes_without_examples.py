"""A class that was only answered counts as 0."""

# loses: balanced_accuracy_any_answers


# %% balanced_accuracy
def balanced_accuracy(y, answers):
    names = np.union1d(y, answers)
    return sum(np.mean(answers[y == name] == name) for name in names if name in y) / len(names)
