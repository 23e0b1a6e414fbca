"""Calls score again and again, with empty parts."""

# loses: flattery_any_people


# %% flattery
def flattery(x, y, speakers, n_tested, n_train, draws, score):
    if x.shape[1] == 1:
        return np.column_stack([np.zeros(draws), np.ones(draws)])
    for _ in range(3000):
        score(x[:1], y[:1], x[1:2], y[1:2])
    return np.full((draws, 2), score(x, y, x, y))
