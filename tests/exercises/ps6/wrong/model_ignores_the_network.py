"""Takes print, whatever the plan."""

# loses: model_has_the_planned_stages, model_keeps_batchnorm, model_beats_the_pixels


# %% build_and_train
def build_and_train(labelled, plan, seed):
    base = cut("resnet_printed", plan[1])
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
