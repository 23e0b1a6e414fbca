import keras


def decaying(rate, decay):
    return keras.optimizers.Adam(rate)
