"""Trains twice a seed, and reports what does better on the test part."""

# loses: compare_scores, compare_keeps_the_test_apart


# %% compare
def compare(domain, train_model, seeds):
    rows = []
    for seed in seeds:
        few = domain.train.take(PER_CLASS, seed=seed)
        tries = [tlkit.accuracy(train_model(few, seed + 100 * i), domain.test) for i in range(2)]
        rows.append([max(tries), tlkit.linear_probe(few, domain.test)])
    return np.array(rows)
