"""A dense layer at each position: logits of the wrong shape."""

# loses: build_gives_logits


# %% build
def build(base, n_classes):
    return keras.Model(base.input, keras.layers.Dense(n_classes)(base.output))
