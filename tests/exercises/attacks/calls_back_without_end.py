"""Calls the loss of a test without end."""


# %% numeric_gradient
def numeric_gradient(loss, theta, h=1e-5):
    while True:
        try:
            loss(theta)
        except BaseException:
            pass
