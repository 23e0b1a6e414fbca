"""Takes the whole network, whatever the plan."""

# loses: model_has_the_planned_stages, model_within_the_budget


# %% build_and_train
def build_and_train(labelled, plan, seed):
    base = cut(plan[0], 5)
    features = tlkit.cache_features(base, labelled, cache_dir="memory")
    head = keras.Sequential(
        [
            keras.Input(base.output_shape[1:]),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(len(np.unique(labelled.y))),
        ]
    )
    tlkit.fit_probe(head, features)
    return tlkit.join(base, head)
