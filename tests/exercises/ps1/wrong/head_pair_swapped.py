"""The gradients in the wrong order."""

# loses: head_gradients_any_head


# %% head_gradients
def head_gradients(W, b, X, Y):
    error = logit_gradient(X @ W.T + b, Y)
    return error.sum(axis=0), error.T @ X
