"""A one-sided difference: not exact enough where the loss is curved."""

# loses: numeric_gradient_any_loss


# %% numeric_gradient
def numeric_gradient(loss, theta, h=1e-5):
    gradient = np.zeros(theta.shape)
    for index in np.ndindex(theta.shape):
        moved = theta.copy()
        moved[index] += h
        gradient[index] = (loss(moved) - loss(theta)) / h
    return gradient
