"""The two models in the other order."""

# loses: fool_the_entropy_by_numbers


# %% fool_the_entropy
def fool_the_entropy():
    y = np.array([0, 0, 1, 1])
    return y, 0.8 * np.eye(2)[y] + 0.1, np.eye(2)[[0, 0, 0, 0]]
