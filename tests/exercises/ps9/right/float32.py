"""What can be in 32 bits, is."""


# %% nt_xent
def nt_xent(a, b, temperature):
    z = np.concatenate([a, b]).astype(np.float32)
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    logits = z @ z.T / np.float32(temperature)
    logits = np.where(np.eye(len(z)) == 1, np.float32(-1e30), logits)
    m = logits.max(axis=1, keepdims=True)
    logs = logits - m - np.log(np.exp(logits - m).sum(axis=1, keepdims=True))
    n = len(a)
    return -np.float32(np.mean([logs[i, (i + n) % (2 * n)] for i in range(2 * n)]))


# %% reversal_strength
def reversal_strength(p):
    return np.float32(2) / (1 + np.exp(-10 * np.float32(p))) - 1


# %% dann_losses
def dann_losses(W, v, u, x_source, y_source, x_target):
    W, v, u, x_source, x_target = (x.astype(np.float32) for x in (W, v, u, x_source, x_target))
    z = x_source @ W @ v
    domain = np.logaddexp(0, x_source @ W @ u).mean() + np.logaddexp(0, -(x_target @ W @ u)).mean()
    return np.float32(np.mean(np.logaddexp(0, z) - y_source * z)), np.float32(domain / 2)


# %% dann_gradients
def dann_gradients(W, v, u, x_source, y_source, x_target, strength):
    W, v, u, x_source, x_target = (x.astype(np.float32) for x in (W, v, u, x_source, x_target))

    def p(z):
        return 1 / (1 + np.exp(-z))

    label = x_source.T @ (p(x_source @ W @ v) - y_source.astype(np.float32)) / len(x_source)
    domain = x_source.T @ p(x_source @ W @ u) / len(x_source) + x_target.T @ (p(x_target @ W @ u) - 1) / len(x_target)
    domain = domain / 2
    return np.outer(label, v) - np.float32(strength) * np.outer(domain, u), W.T @ label, W.T @ domain


# %% adapt_and_predict
def adapt_and_predict(x_source, y_source, x_target):
    names = sorted(set(y_source.tolist()))
    x = np.hstack([align(x_source, x_target), np.ones((len(x_source), 1))]).astype(np.float32)
    hot = np.array([[1.0 if y == name else -1.0 for name in names] for y in y_source], dtype=np.float32)
    weights = np.linalg.solve(x.T @ x + 0.01 * np.eye(x.shape[1], dtype=np.float32), x.T @ hot)
    scores = np.hstack([x_target, np.ones((len(x_target), 1))]).astype(np.float32) @ weights
    return np.array(names, dtype=np.float32)[scores.argmax(axis=1)]


# %% mean_entropy
def mean_entropy(probabilities):
    p = probabilities.astype(np.float32)
    return -np.mean(np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0).sum(axis=1))
