"""Each column has a test part of its own."""

# loses: flattery_any_people


# %% flattery
def flattery(x, y, speakers, n_tested, n_train, draws, score):
    rows = []
    for draw in range(draws):
        tested = np.random.default_rng(draw).permutation(np.unique(speakers))[:n_tested].tolist()
        test, apart, mixed = two_splits(speakers, tested, n_train, draw)
        other, _, mixed = two_splits(speakers, tested, n_train, draw + 1000)
        rows.append([score(x[apart], y[apart], x[test], y[test]), score(x[mixed], y[mixed], x[other], y[other])])
    return np.array(rows)
