"""Plain accuracy."""

# loses: balanced_accuracy_any_answers


# %% balanced_accuracy
def balanced_accuracy(y, answers):
    return np.mean(np.asarray(y) == np.asarray(answers))
