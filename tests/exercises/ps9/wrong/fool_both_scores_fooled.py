"""The worse model is sure and wrong without a collapse, and the other score falls for it as well."""

# loses: fool_the_entropy_by_numbers


# %% fool_the_entropy
def fool_the_entropy():
    y = np.array([0, 0, 1, 1])
    return y, np.eye(2)[1 - y], 0.8 * np.eye(2)[y] + 0.1
