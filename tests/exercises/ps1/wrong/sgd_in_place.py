"""The right numbers, written over theta."""

# loses: sgd_step_keeps_inputs


# %% sgd_step
def sgd_step(theta, gradient, learning_rate):
    theta -= learning_rate * gradient
    return theta
