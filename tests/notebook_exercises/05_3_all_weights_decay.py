import keras


def decaying(rate, decay):
    return keras.optimizers.AdamW(rate, weight_decay=decay)
