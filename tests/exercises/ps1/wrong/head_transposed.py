"""The gradient to W has the shape of its transpose; square heads hide it from the eye."""

# loses: head_gradients_any_head


# %% head_gradients
def head_gradients(W, b, X, Y):
    error = logit_gradient(X @ W.T + b, Y)
    return X.T @ error, error.sum(axis=0)
