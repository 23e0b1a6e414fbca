"""A cell that never ends is stopped; what it had defined is graded."""


# %% sgd_step
def sgd_step(theta, gradient, learning_rate):
    return theta - learning_rate * gradient


while True:
    pass
