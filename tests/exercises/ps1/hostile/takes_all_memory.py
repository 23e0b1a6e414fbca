"""Asks for 100 GB."""

# loses: sgd_step_any_gradient, sgd_step_keeps_inputs


# %% sgd_step
def sgd_step(theta, gradient, learning_rate):
    return np.ones(100 * 2**30 // 8)
