"""Takes the classes to be 0 and 1."""

# loses: balanced_accuracy_any_answers


# %% balanced_accuracy
def balanced_accuracy(y, answers):
    return (np.mean(answers[y == 0] == 0) + np.mean(answers[y == 1] == 1)) / 2
