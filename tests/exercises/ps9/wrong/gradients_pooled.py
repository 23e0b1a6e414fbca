"""One mean over the examples of both domains."""

# loses: dann_gradients_heads, dann_gradients_extractor


# %% dann_gradients
def dann_gradients(W, v, u, x_source, y_source, x_target, strength):
    def p(z):
        return 1 / (1 + np.exp(-z))

    n, m = len(x_source), len(x_target)
    label = x_source.T @ (p(x_source @ W @ v) - y_source) / n
    domain = (x_source.T @ p(x_source @ W @ u) + x_target.T @ (p(x_target @ W @ u) - 1)) / (n + m)
    return np.outer(label, v) - strength * np.outer(domain, u), W.T @ label, W.T @ domain
