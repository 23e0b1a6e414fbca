"""The baseline learns from all labels, the model from a few."""

# loses: compare_scores


# %% compare
def compare(domain, train_model, seeds):
    baseline = tlkit.linear_probe(domain.train, domain.test)
    models = [train_model(domain.train.take(PER_CLASS, seed=seed), seed) for seed in seeds]
    return np.array([[tlkit.accuracy(model, domain.test), baseline] for model in models])
