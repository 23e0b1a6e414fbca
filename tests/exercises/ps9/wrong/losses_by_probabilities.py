"""The logarithm of a probability that is rounded to 0."""

# loses: dann_losses_large_logits


# %% dann_losses
def dann_losses(W, v, u, x_source, y_source, x_target):
    def loss(z, t):
        p = 1 / (1 + np.exp(-z))
        return -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))

    domain = loss(x_source @ W @ u, 0) + loss(x_target @ W @ u, 1)
    return loss(x_source @ W @ v, y_source), domain / 2
