"""Target examples take part in the label loss, as if they were all of class 0."""

# loses: dann_gradients_examples, dann_gradients_heads, dann_gradients_extractor, dann_gradients_without_reversal


# %% dann_gradients
def dann_gradients(W, v, u, x_source, y_source, x_target, strength):
    def p(z):
        return 1 / (1 + np.exp(-z))

    n, m = len(x_source), len(x_target)
    x = np.concatenate([x_source, x_target])
    y = np.concatenate([y_source, np.zeros(m)])
    label = x.T @ (p(x @ W @ v) - y) / (n + m)
    domain = x_source.T @ p(x_source @ W @ u) / (2 * n) + x_target.T @ (p(x_target @ W @ u) - 1) / (2 * m)
    return np.outer(label, v) - strength * np.outer(domain, u), W.T @ label, W.T @ domain
