"""Loops over Python's floats, and lists as results."""

# %% nt_xent
import math


def nt_xent(a, b, temperature):
    views = [list(map(float, row)) for row in a] + [list(map(float, row)) for row in b]
    n = len(a)

    def cosine(x, y):
        return sum(p * q for p, q in zip(x, y)) / math.sqrt(sum(p * p for p in x)) / math.sqrt(sum(q * q for q in y))

    total = 0.0
    for i, view in enumerate(views):
        partner = (i + n) % (2 * n)
        right = cosine(view, views[partner]) / temperature
        gaps = [cosine(view, other) / temperature - right for j, other in enumerate(views) if j != i]
        m = max(gaps)
        total += m + math.log(sum(math.exp(gap - m) for gap in gaps))
    return total / (2 * n)


# %% reversal_strength
def reversal_strength(p):
    if np.ndim(p):
        return [reversal_strength(each) for each in p]
    return (1 - math.exp(-10 * p)) / (1 + math.exp(-10 * p))


# %% dann_losses
def dann_losses(W, v, u, x_source, y_source, x_target):
    def logit(x, head):
        return sum(sum(x[d] * W[d][h] for d in range(len(x))) * head[h] for h in range(len(head)))

    def loss(z, t):
        z = z if t == 0 else -z
        return max(z, 0.0) + math.log1p(math.exp(-abs(z)))

    label = sum(loss(logit(x, v), t) for x, t in zip(x_source, y_source)) / len(x_source)
    source = sum(loss(logit(x, u), 0) for x in x_source) / len(x_source)
    target = sum(loss(logit(x, u), 1) for x in x_target) / len(x_target)
    return [label, 0.5 * source + 0.5 * target]


# %% dann_gradients
def dann_gradients(W, v, u, x_source, y_source, x_target, strength):
    D, H = len(W), len(v)
    dW, dv, du = [[0.0] * H for _ in range(D)], [0.0] * H, [0.0] * H
    for xs, labels, domain, share in (
        (x_source, y_source, 0, 1 / len(x_source)),
        (x_target, None, 1, 1 / len(x_target)),
    ):
        for i, x in enumerate(xs):
            f = [sum(x[d] * W[d][h] for d in range(D)) for h in range(H)]
            told = 1 / (1 + math.exp(-sum(f[h] * u[h] for h in range(H))))
            e_domain = (told - domain) * share / 2
            e_label = 0.0
            if labels is not None:
                e_label = (1 / (1 + math.exp(-sum(f[h] * v[h] for h in range(H)))) - labels[i]) * share
            for h in range(H):
                dv[h] += e_label * f[h]
                du[h] += e_domain * f[h]
                for d in range(D):
                    dW[d][h] += x[d] * (e_label * v[h] - strength * e_domain * u[h])
    return dW, dv, du


# %% adapt_and_predict
def adapt_and_predict(x_source, y_source, x_target):
    moved = np.array(align(x_source, x_target, 1e-4))
    center, spread = x_target.mean(axis=0), np.linalg.inv(np.linalg.cholesky(np.cov(x_target.T)))
    moved, target = (moved - center) @ spread.T, (x_target - center) @ spread.T
    means = {int(k): moved[y_source == k].mean(axis=0) for k in set(y_source.tolist())}
    return [min(means, key=lambda k: ((x - means[k]) ** 2).sum()) for x in target]


# %% mean_entropy
def mean_entropy(probabilities):
    return sum(sum(-p * math.log(p) for p in row if p > 0) for row in probabilities) / len(probabilities)


# %% choose
def choose(probabilities_by_setting):
    best, lowest = None, math.inf
    for name, answers in probabilities_by_setting.items():
        if mean_entropy(answers) < lowest:
            best, lowest = name, mean_entropy(answers)
    return best


# %% information_maximization
def information_maximization(probabilities):
    mean = [sum(column) / len(probabilities) for column in zip(*probabilities)]
    return mean_entropy([mean]) - mean_entropy(probabilities)


# %% choose_by_information
def choose_by_information(probabilities_by_setting):
    return sorted(probabilities_by_setting, key=lambda name: -information_maximization(probabilities_by_setting[name]))[
        0
    ]


# %% fool_the_entropy
def fool_the_entropy():
    y = [0, 1, 2, 0, 1, 2]
    better = [[0.6 if k == label else 0.2 for k in range(3)] for label in y]
    return [y, [[0.02, 0.96, 0.02]] * 6, better]


# %% honest_gap
def honest_gap(target_scores, chosen_by_scorer):
    gaps = [max(row) - row[k] for row, k in zip(target_scores, chosen_by_scorer)]
    return sum(gaps) / len(gaps)
