"""Divides by h: twice the gradient."""

# loses: numeric_gradient_examples, numeric_gradient_any_loss


# %% numeric_gradient
def numeric_gradient(loss, theta, h=1e-5):
    gradient = np.zeros(theta.shape)
    for index in np.ndindex(theta.shape):
        step = np.zeros(theta.shape)
        step[index] = h
        gradient[index] = (loss(theta + step) - loss(theta - step)) / h
    return gradient
