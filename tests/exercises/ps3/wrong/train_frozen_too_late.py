"""Freezes after the first epoch, and does not compile again."""

# loses: train_head_keeps_the_base, train_head_keeps_batchnorm


# %% train_head
def train_head(model, base, images, labels, epochs, learning_rate):
    model.compile(keras.optimizers.Adam(learning_rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, epochs=1, verbose=0)
    base.trainable = False
    model.fit(images, labels, epochs=epochs - 1, verbose=0)
