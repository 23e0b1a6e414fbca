"""No bias correction."""

# loses: adam_step_examples, adam_step_first_step, adam_step_later_steps


# %% adam_step
def adam_step(theta, gradient, m, v, t, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    m = beta_1 * m + (1 - beta_1) * gradient
    v = beta_2 * v + (1 - beta_2) * gradient**2
    return theta - learning_rate * m / (np.sqrt(v) + epsilon), m, v
