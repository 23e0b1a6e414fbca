"""The head is frozen too: nothing learns."""

# loses: model_beats_the_pixels, model_learns_from_its_labels


# %% build_and_train
def build_and_train(labelled, plan, seed):
    base = cut(*plan)
    pooled = keras.layers.GlobalAveragePooling2D()(base.output)
    logits = keras.layers.Dense(len(np.unique(labelled.y)), kernel_initializer=keras.initializers.GlorotUniform(seed))
    model = keras.Model(base.input, logits(pooled))
    model.trainable = False
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    model.fit(labelled.x, labelled.y, epochs=1, verbose=0)
    return model
