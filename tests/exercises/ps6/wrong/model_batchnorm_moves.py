"""Runs the network in training mode once, so that BatchNorm gets used to the new images."""

# loses: model_keeps_batchnorm


# %% build_and_train
def build_and_train(labelled, plan, seed):
    base = cut(*plan)
    base(labelled.x, training=True)
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
