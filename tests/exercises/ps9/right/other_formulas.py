"""Other ways to the same numbers: logaddexp, tanh, a step back through the features, singular values, sums of gaps."""


# %% nt_xent
def nt_xent(a, b, temperature):
    z = np.stack([a, b], axis=1).reshape(2 * len(a), -1)  # the pairs stand in turn
    z = z / np.sqrt(np.einsum("nd,nd->n", z, z))[:, None]
    every = np.arange(len(z))
    losses = []
    for i in every:
        others = np.delete(every, i)
        losses.append(np.logaddexp.reduce((z[others] - z[i ^ 1]) @ z[i] / temperature))
    return sum(losses) / len(losses)


# %% reversal_strength
def reversal_strength(p):
    return np.tanh(np.multiply(5, p))


# %% dann_losses
def dann_losses(W, v, u, x_source, y_source, x_target):
    sides = 1 - 2 * y_source
    label = np.logaddexp(0, sides * (x_source @ W @ v)).mean()
    z = np.concatenate([x_source @ W @ u, -(x_target @ W @ u)])
    n, m = len(x_source), len(x_target)
    parts = np.split(np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))), [n])
    return np.array([label, parts[0].sum() / (2 * n) + parts[1].sum() / (2 * m)])


# %% dann_gradients
def dann_gradients(W, v, u, x_source, y_source, x_target, strength):
    def back(x, head, labels):
        features = x @ W
        errors = (0.5 + 0.5 * np.tanh(features @ head / 2) - labels) / len(x)
        return np.einsum("nd,n,h->dh", x, errors, head), np.einsum("nh,n->h", features, errors)

    to_label, label_head = back(x_source, v, y_source)
    from_source, head_source = back(x_source, u, np.zeros(len(x_source)))
    from_target, head_target = back(x_target, u, np.ones(len(x_target)))
    return to_label - strength / 2 * (from_source + from_target), label_head, (head_source + head_target) / 2


# %% align
def align(source, target, eps=1e-3):
    def root(x):
        centred = x - x.mean(0)
        _, s, Vt = np.linalg.svd(centred, full_matrices=True)
        variances = np.zeros(x.shape[1])
        variances[: len(s)] = s**2 / (len(x) - 1)
        return Vt.T @ np.diag(np.sqrt(variances + eps)) @ Vt

    moved = np.linalg.solve(root(source), (source - source.mean(0)).T).T
    return moved @ root(target) + target.mean(0, keepdims=True)


# %% adapt_and_predict
def adapt_and_predict(x_source, y_source, x_target):
    names, numbers = np.unique(y_source, return_inverse=True)
    x = align(x_source, x_target)
    center, spread = x.mean(axis=0), x.std(axis=0)
    x, target = (x - center) / spread, (x_target - center) / spread
    W, b, hot = np.zeros((x.shape[1], len(names))), np.zeros(len(names)), np.eye(len(names))[numbers]
    for _ in range(500):
        Z = x @ W + b
        P = np.exp(Z - Z.max(axis=1, keepdims=True))
        error = (P / P.sum(axis=1, keepdims=True) - hot) / len(x)
        W, b = W - 2 * x.T @ error, b - 2 * error.sum(axis=0)
    return names[np.argmax(target @ W + b, axis=1)]


# %% mean_entropy
def mean_entropy(probabilities):
    p = np.clip(probabilities, 1e-15, 1)
    return float(-(p * np.log(p)).sum() / len(p))


# %% fool_the_entropy
def fool_the_entropy():
    y = np.arange(40) % 4
    return y, np.eye(4)[np.where(y == 0, 1, 0)], np.eye(4)[y] * 0.8 + 0.2 / 4


# %% honest_gap
def honest_gap(target_scores, chosen_by_scorer):
    picked = np.take_along_axis(target_scores, np.asarray(chosen_by_scorer)[:, None], axis=1)
    return (np.sort(target_scores, axis=1)[:, -1:] - picked).mean()
