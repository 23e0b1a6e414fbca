"""The extractor's gradient has the shape of its transpose."""

# loses: dann_gradients_extractor, dann_gradients_without_reversal


# %% dann_gradients
def dann_gradients(W, v, u, x_source, y_source, x_target, strength):
    def p(z):
        return 1 / (1 + np.exp(-z))

    n, m = len(x_source), len(x_target)
    label = x_source.T @ (p(x_source @ W @ v) - y_source) / n
    domain = x_source.T @ p(x_source @ W @ u) / (2 * n) + x_target.T @ (p(x_target @ W @ u) - 1) / (2 * m)
    return (np.outer(label, v) - strength * np.outer(domain, u)).T, W.T @ label, W.T @ domain
