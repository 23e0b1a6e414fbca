"""Logits in place of probabilities."""

# loses: fool_the_entropy_by_numbers


# %% fool_the_entropy
def fool_the_entropy():
    y = np.array([0, 0, 1, 1])
    return y, np.array([[9.0, 0.0]] * 4), np.eye(2)[y]
