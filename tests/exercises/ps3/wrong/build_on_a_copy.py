"""Clones the base."""

# loses: build_shares_the_base


# %% build
def build(base, n_classes):
    copy = keras.models.clone_model(base)
    copy.set_weights(base.get_weights())
    pooled = keras.layers.GlobalAveragePooling2D()(copy.output)
    return keras.Model(copy.input, keras.layers.Dense(n_classes)(pooled))
