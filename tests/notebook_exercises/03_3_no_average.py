import keras


def head_behind(network, name, n_classes):
    base = keras.Model(network.input, network.get_layer(name).output)
    base.trainable = False
    flat = keras.layers.Flatten()(base.output)
    return keras.Model(base.input, keras.layers.Dense(n_classes)(flat))
