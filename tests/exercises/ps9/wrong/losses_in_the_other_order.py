"""The domain loss first."""

# loses: dann_losses_examples, dann_losses_any_batch, dann_losses_large_logits


# %% dann_losses
def dann_losses(W, v, u, x_source, y_source, x_target):
    z = x_source @ W @ v
    domain = np.logaddexp(0, x_source @ W @ u).mean() + np.logaddexp(0, -(x_target @ W @ u)).mean()
    return domain / 2, np.mean(np.logaddexp(0, z) - y_source * z)
