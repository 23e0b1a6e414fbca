"""Moves whole rows of a matrix at once."""

# loses: numeric_gradient_any_loss


# %% numeric_gradient
def numeric_gradient(loss, theta, h=1e-5):
    gradient = np.zeros(theta.shape)
    for i in range(len(theta)):
        up, down = theta.copy(), theta.copy()
        up[i] += h
        down[i] -= h
        gradient[i] = (loss(up) - loss(down)) / (2 * h)
    return gradient
