"""The learning rate of the example, hard-coded."""

# loses: sgd_step_any_gradient


# %% sgd_step
def sgd_step(theta, gradient, learning_rate):
    return theta - 0.1 * gradient
