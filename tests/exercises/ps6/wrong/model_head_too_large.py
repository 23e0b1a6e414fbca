"""A head on flattened feature maps: 63,000 weights."""

# loses: model_within_the_budget


# %% build_and_train
def build_and_train(labelled, plan, seed):
    base = cut(*plan)
    features = tlkit.cache_features(base, labelled, cache_dir="memory")
    head = keras.Sequential(
        [
            keras.Input(base.output_shape[1:]),
            keras.layers.Flatten(),
            keras.layers.Dense(len(np.unique(labelled.y))),
        ]
    )
    flat = tlkit.Split(features.x.reshape(len(features), -1), features.y)
    tlkit.fit_probe(keras.Sequential([keras.Input(flat.x.shape[1:]), head.layers[-1]]), flat)
    return tlkit.join(base, head)
