"""400 MB printed by a cell, and again by ten calls of a function."""


# %% sgd_step
def sgd_step(theta, gradient, learning_rate):
    print("x" * 40_000_000)
    return theta - learning_rate * gradient


for _ in range(400):
    print("x" * 1_000_000)
