"""A head on the images: the base is not asked."""

# loses: build_shares_the_base


# %% build
def build(base, n_classes):
    image = keras.Input(base.input_shape[1:])
    return keras.Model(image, keras.layers.Dense(n_classes)(keras.layers.Flatten()(image)))
