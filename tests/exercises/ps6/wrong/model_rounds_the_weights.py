"""Rounds the network's weights to half precision, as small models on phones do: they are no longer the pretrained ones."""

# loses: model_has_the_planned_stages, model_keeps_batchnorm, model_within_the_budget


# %% build_and_train
def build_and_train(labelled, plan, seed):
    base = cut(*plan)
    base.set_weights([weight.astype("float16") for weight in base.get_weights()])
    features = tlkit.Split(np.asarray(base(labelled.x, training=False)), labelled.y)
    head = keras.Sequential(
        [
            keras.Input(base.output_shape[1:]),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(len(np.unique(labelled.y))),
        ]
    )
    tlkit.fit_probe(head, features)
    return tlkit.join(base, head)
