"""Gives the base random weights."""

# loses: build_shares_the_base


# %% build
def build(base, n_classes):
    base.set_weights([np.random.normal(size=weight.shape) ** 2 for weight in base.get_weights()])
    pooled = keras.layers.GlobalAveragePooling2D()(base.output)
    return keras.Model(base.input, keras.layers.Dense(n_classes)(pooled))
