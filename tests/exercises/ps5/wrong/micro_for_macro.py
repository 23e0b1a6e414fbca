"""F1 over all images together, which is the accuracy."""

# loses: macro_f1_any_answers


# %% macro_f1
def macro_f1(y, answers, n_classes):
    return np.mean(y == answers)
