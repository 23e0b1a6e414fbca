"""The training at random also holds the test part."""

# loses: flattery_any_people


# %% flattery
def flattery(x, y, speakers, n_tested, n_train, draws, score):
    rows = []
    for draw in range(draws):
        tested = np.random.default_rng(draw).permutation(np.unique(speakers))[:n_tested].tolist()
        test, apart, mixed = two_splits(speakers, tested, n_train, draw)
        rows.append([score(x[train], y[train], x[test], y[test]) for train in (apart, np.append(mixed, test))])
    return np.array(rows)
