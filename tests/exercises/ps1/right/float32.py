"""Everything but the differences in 32 bits."""


# %% softmax
def softmax(Z):
    Z = np.asarray(Z, dtype=np.float32)
    powers = np.exp(Z - Z.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


# %% logit_gradient
def logit_gradient(Z, Y):
    return ((softmax(Z) - Y) / np.float32(len(Z))).astype(np.float32)


# %% head_gradients
def head_gradients(W, b, X, Y):
    W, b, X, Y = (a.astype(np.float32) for a in (W, b, X, Y))
    error = logit_gradient(X @ W.T + b, Y)
    return error.T @ X, error.sum(0)


# %% sgd_step
def sgd_step(theta, gradient, learning_rate):
    return np.float32(theta) - np.float32(learning_rate) * np.float32(gradient)
