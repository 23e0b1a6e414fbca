import keras


def merged(dense, a, b, alpha):
    kernel, _ = dense.get_weights()
    layer = keras.layers.Dense(dense.units)
    layer.build((None, len(kernel)))
    layer.kernel.assign(kernel + alpha / a.shape[1] * a @ b)
    return layer
