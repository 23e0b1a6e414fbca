import keras


def head_behind(network, name, n_classes):
    base = keras.Model(network.input, network.get_layer(name).output)
    for layer in base.layers:
        layer.trainable = isinstance(layer, keras.layers.BatchNormalization)
    average = keras.layers.GlobalAveragePooling2D()(base.output)
    return keras.Model(base.input, keras.layers.Dense(n_classes)(average))
