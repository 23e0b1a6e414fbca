"""Both models are sure, so that the entropies are equal."""

# loses: fool_the_entropy_by_numbers


# %% fool_the_entropy
def fool_the_entropy():
    y = np.array([0, 0, 1, 1])
    return y, np.eye(2)[[0, 0, 0, 0]], np.eye(2)[y]
