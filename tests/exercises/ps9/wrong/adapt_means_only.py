"""Only the means are aligned."""

# loses: adapt_and_predict_examples, adapt_and_predict_hidden_target


# %% adapt_and_predict
def adapt_and_predict(x_source, y_source, x_target):
    classes = np.unique(y_source)
    moved = x_source - x_source.mean(axis=0) + x_target.mean(axis=0)
    weights = np.linalg.lstsq(np.c_[moved, np.ones(len(moved))], 1.0 * (y_source[:, None] == classes), rcond=None)[0]
    return classes[(np.c_[x_target, np.ones(len(x_target))] @ weights).argmax(axis=1)]
