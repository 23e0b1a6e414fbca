"""The mean precision."""

# loses: balanced_accuracy_any_answers


# %% balanced_accuracy
def balanced_accuracy(y, answers):
    names = np.unique(y)
    return sum(np.mean(y[answers == name] == name) for name in names if name in answers) / len(names)
