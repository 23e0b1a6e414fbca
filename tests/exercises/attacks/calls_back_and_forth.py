"""Hands the lent reference a loss that calls the lent reference, and so on."""


# %% gradients_agree
def gradients_agree(one, other):
    def loss(theta):
        return float(np.sum(numeric_gradient(loss, theta)))

    try:
        numeric_gradient(loss, np.ones(2))
    except Exception as error:
        print(type(error).__name__)
    return 2
