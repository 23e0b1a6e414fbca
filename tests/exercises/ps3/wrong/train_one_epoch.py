"""One epoch, whatever is asked for."""

# loses: train_head_learns


# %% train_head
def train_head(model, base, images, labels, epochs, learning_rate):
    base.trainable = False
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss, run_eagerly=True)
    model.fit(images, labels, verbose=0)
