import keras


def head_behind(network, name, n_classes):
    base = keras.Model(network.input, network.get_layer(name).output)
    average = keras.layers.GlobalAveragePooling2D()(base.output)
    return keras.Model(base.input, keras.layers.Dense(n_classes)(average))
