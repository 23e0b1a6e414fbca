"""Freezes nothing."""

# loses: train_head_keeps_the_base, train_head_keeps_batchnorm


# %% train_head
def train_head(model, base, images, labels, epochs, learning_rate):
    model.compile(keras.optimizers.Adam(learning_rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, epochs=epochs, verbose=0)
