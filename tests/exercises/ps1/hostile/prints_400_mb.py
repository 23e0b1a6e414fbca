"""400 MB printed by a cell, and again by a function."""


# %% sgd_step
def sgd_step(theta, gradient, learning_rate):
    for _ in range(4):
        print("x" * 100_000_000)
    return theta - learning_rate * gradient


for _ in range(400):
    print("x" * 1_000_000)
