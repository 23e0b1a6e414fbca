"""Validates on the images that it has learned from: all plans look perfect."""

# loses: choose_near_the_best


# %% choose
def choose(labelled, budget):
    scores = {}
    for plan in affordable(budget):
        features = tlkit.cache_features(cut(*plan), labelled, cache_dir="memory")
        scores[plan] = round(tlkit.linear_probe(features, features), 1)
    return max(scores, key=scores.get)
