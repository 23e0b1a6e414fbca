"""The two betas in each other's place."""

# loses: adam_step_examples, adam_step_first_step, adam_step_later_steps


# %% adam_step
def adam_step(theta, gradient, m, v, t, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    m = beta_2 * m + (1 - beta_2) * gradient
    v = beta_1 * v + (1 - beta_1) * gradient**2
    return theta - learning_rate * m / (1 - beta_2**t) / (np.sqrt(v / (1 - beta_1**t)) + epsilon), m, v
