import keras


def repaired(base, n_classes):
    pixels = keras.Input(base.input_shape[1:])
    features = base(keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels), training=False)
    logits = keras.layers.Dense(n_classes)(keras.layers.GlobalAveragePooling2D()(features))
    model = keras.Model(pixels, logits)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model
