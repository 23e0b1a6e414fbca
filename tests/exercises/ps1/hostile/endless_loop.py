"""A function that never ends: its checks end at their limit, the others count."""

# loses: sgd_step_any_gradient, sgd_step_keeps_inputs


# %% sgd_step
def sgd_step(theta, gradient, learning_rate):
    while True:
        try:
            theta = theta - learning_rate * gradient
        except:
            pass
