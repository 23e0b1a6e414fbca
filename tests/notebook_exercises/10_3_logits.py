import keras


def finished(base, head, side):
    photograph = keras.Input((None, None, 3))
    return keras.Model(photograph, head(base(keras.layers.Resizing(side, side)(photograph))))
