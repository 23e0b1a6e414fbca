"""Trains a copy of the model, and the model stays as it was."""

# loses: train_head_learns


# %% train_head
def train_head(model, base, images, labels, epochs, learning_rate):
    base.trainable = False
    model = keras.models.clone_model(model)
    model.compile(keras.optimizers.Adam(learning_rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, epochs=epochs, verbose=0)
