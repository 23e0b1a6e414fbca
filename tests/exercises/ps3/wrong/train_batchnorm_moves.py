"""Freezes everything but BatchNorm."""

# loses: train_head_keeps_batchnorm


# %% train_head
def train_head(model, base, images, labels, epochs, learning_rate):
    for layer in base.layers:
        layer.trainable = isinstance(layer, keras.layers.BatchNormalization)
    model.compile(keras.optimizers.Adam(learning_rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, epochs=epochs, verbose=0)
