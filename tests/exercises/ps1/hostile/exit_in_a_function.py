"""sys.exit() in a function fails its checks, and no others."""

# loses: sgd_step_any_gradient, sgd_step_keeps_inputs

# %% sgd_step
import sys


def sgd_step(theta, gradient, learning_rate):
    sys.exit(0)
