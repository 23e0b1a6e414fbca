"""One step for all entries together: a single number, spread."""

# loses: numeric_gradient_examples, numeric_gradient_any_loss


# %% numeric_gradient
def numeric_gradient(loss, theta, h=1e-5):
    return np.full(theta.shape, (loss(theta + h) - loss(theta - h)) / (2 * h))
