import keras


def head_behind(network, name, n_classes):
    network.trainable = False
    average = keras.layers.GlobalAveragePooling2D()(network.layers[-3].output)
    return keras.Model(network.input, keras.layers.Dense(n_classes)(average))
