"""What is frozen runs once: the tail and the head are trained on its features. Talkative."""


# %% freeze_stages
def freeze_stages(backbone, stage):
    trunk, tail = tlkit.split_at(backbone, stage)
    backbone.model.trainable = False
    backbone.model.trainable = True
    print("freezing", stage, "of", backbone.n_stages)
    if stage:
        for layer in trunk.layers:
            layer.trainable = False
    for layer in backbone.model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


# %% two_phases
def two_phases(backbone, head, train, stage, learning_rate, fit):
    for part, rate in ((backbone.n_stages, learning_rate), (stage, learning_rate / 10)):
        freeze_stages(backbone, part)
        trunk, tail = tlkit.split_at(backbone, part)
        fit(tlkit.join(tail, head), tlkit.cache_features(trunk, train), rate)


# %% repaired
def repaired(backbone, head, train):
    def fit(model, split, learning_rate):
        history = tlkit.fit(model, split, epochs=15, learning_rate=learning_rate)
        print(history.tail(1))

    two_phases(backbone, head, train, backbone.n_stages - 1, 0.05, fit)
    return tlkit.join(backbone.model, head)
