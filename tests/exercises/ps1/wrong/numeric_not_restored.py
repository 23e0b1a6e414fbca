"""Moves theta itself and does not move it back."""

# loses: numeric_gradient_any_loss


# %% numeric_gradient
def numeric_gradient(loss, theta, h=1e-5):
    gradient = np.zeros(theta.shape)
    for index in np.ndindex(theta.shape):
        theta[index] += h
        up = loss(theta)
        theta[index] -= 2 * h
        gradient[index] = (up - loss(theta)) / (2 * h)
    return gradient
