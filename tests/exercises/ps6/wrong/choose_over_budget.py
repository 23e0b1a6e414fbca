"""Looks at depth 4 of both networks, whatever the budget."""

# loses: choose_within_the_budget


# %% choose
def choose(labelled, budget):
    few, check = np.arange(len(labelled)) % 3 < 2, np.arange(len(labelled)) % 3 == 2
    order = np.argsort(labelled.y, kind="stable")
    scores = {}
    for plan in [(name, 4) for name in NETWORKS]:
        base, _ = tlkit.split_at(pretrained[plan[0]], plan[1])
        features = tlkit.Split(np.mean(base(labelled.x[order], training=False), axis=(1, 2)), labelled.y[order])
        scores[plan] = tlkit.linear_probe(features[few], features[check])
    return max(scores, key=scores.get)
