"""Plus for minus."""

# loses: sgd_step_any_gradient


# %% sgd_step
def sgd_step(theta, gradient, learning_rate):
    return theta + learning_rate * gradient
