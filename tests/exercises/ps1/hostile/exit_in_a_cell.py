"""exit() and quit() in a cell end nothing."""


# %% sgd_step
def sgd_step(theta, gradient, learning_rate):
    return theta - learning_rate * gradient


exit()
quit()
