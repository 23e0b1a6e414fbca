"""Loops over Python's floats, and lists as results."""

# %% softmax
import math


def softmax(Z):
    if np.ndim(Z) == 1:
        return softmax([Z])[0]
    rows = []
    for row in Z:
        powers = [math.exp(z - max(row)) for z in row]
        rows.append([power / sum(powers) for power in powers])
    return rows


# %% cross_entropy
def cross_entropy(Z, Y):
    total = 0
    for z, y in zip(Z, Y):
        m = max(z)
        log_sum = m + math.log(sum(math.exp(a - m) for a in z))
        total += sum(b * (log_sum - a) for a, b in zip(z, y))
    return total / len(Z)


# %% logit_gradient
def logit_gradient(Z, Y):
    n = len(Z)
    return [[(p - y) / n for p, y in zip(ps, ys)] for ps, ys in zip(softmax(Z), Y)]


# %% head_gradients
def head_gradients(W, b, X, Y):
    Z = [[sum(w * x for w, x in zip(row, image)) + bias for row, bias in zip(W, b)] for image in X]
    G = logit_gradient(Z, Y)
    K, D = len(W), len(W[0])
    dW = [[sum(g[k] * image[d] for g, image in zip(G, X)) for d in range(D)] for k in range(K)]
    return [dW, [sum(g[k] for g in G) for k in range(K)]]


# %% numeric_gradient
def numeric_gradient(loss, theta, h=1e-5):
    flat, slopes = theta.ravel(), []
    for i in range(len(flat)):
        ends = []
        for side in (+1, -1):
            moved = list(flat)
            moved[i] += side * h
            ends.append(loss(np.reshape(moved, theta.shape)))
        slopes.append((ends[0] - ends[1]) / h / 2)
    return np.reshape(slopes, theta.shape).tolist()


# %% gradients_agree
def gradients_agree(one, other):
    one, other = np.ravel(one), np.ravel(other)
    largest = max(max(abs(a), abs(b)) for a, b in zip(one, other))
    for a, b in zip(one, other):
        if abs(a - b) > largest / 10_000:
            return False
    return True


# %% sgd_step
def sgd_step(theta, gradient, learning_rate):
    if np.ndim(theta) == 0:
        return theta - learning_rate * gradient
    return [sgd_step(a, g, learning_rate) for a, g in zip(theta, gradient)]


# %% adam_step
def adam_step(theta, gradient, m, v, t, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    m = np.broadcast_to(m, np.shape(theta))
    v = np.broadcast_to(v, np.shape(theta))
    if np.ndim(theta):
        rows = [adam_step(*row, t, learning_rate, beta_1, beta_2, epsilon) for row in zip(theta, gradient, m, v)]
        return [list(part) for part in zip(*rows)]
    m = m * beta_1 + gradient - beta_1 * gradient
    v = v * beta_2 + gradient * gradient * (1 - beta_2)
    return theta - learning_rate * (m / (1 - beta_1**t)) / (math.sqrt(v / (1 - beta_2**t)) + epsilon), m, v
