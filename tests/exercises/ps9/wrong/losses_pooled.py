"""One mean over all examples: the larger domain counts more."""

# loses: dann_losses_any_batch


# %% dann_losses
def dann_losses(W, v, u, x_source, y_source, x_target):
    z = x_source @ W @ v
    label = np.mean(np.logaddexp(0, z) - y_source * z)
    z = np.concatenate([x_source, x_target]) @ W @ u
    t = np.repeat([0, 1], [len(x_source), len(x_target)])
    return label, np.mean(np.logaddexp(0, z) - t * z)
