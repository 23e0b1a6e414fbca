"""Scores both on the images that they have learned from."""

# loses: compare_scores


# %% compare
def compare(domain, train_model, seeds):
    rows = []
    for seed in seeds:
        few = domain.train.take(PER_CLASS, seed=seed)
        rows.append([tlkit.accuracy(train_model(few, seed), few), tlkit.linear_probe(few, few)])
    return np.array(rows)
