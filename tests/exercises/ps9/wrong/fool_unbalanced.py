"""Nine of ten examples are of the class that the collapsed model names: it is the better one."""

# loses: fool_the_entropy_by_numbers


# %% fool_the_entropy
def fool_the_entropy():
    y = np.array([0] * 9 + [1])
    return y, np.eye(2)[[0] * 10], np.full((10, 2), 0.5) + 0.1 * np.eye(2)[y] - 0.1 * np.eye(2)[1 - y]
