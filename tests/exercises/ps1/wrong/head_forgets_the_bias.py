"""The bias is left out of the logits."""

# loses: head_gradients_any_head


# %% head_gradients
def head_gradients(W, b, X, Y):
    error = logit_gradient(X @ W.T, Y)
    return error.T @ X, error.sum(axis=0)
