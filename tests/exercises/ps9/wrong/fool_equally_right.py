"""The collapsed model is right as often as the other one."""

# loses: fool_the_entropy_by_numbers


# %% fool_the_entropy
def fool_the_entropy():
    y = np.array([0, 0, 1, 1])
    return y, np.eye(2)[[0, 0, 0, 0]], 0.8 * np.eye(2)[[0, 1, 1, 0]] + 0.1
