import keras


def decaying(rate, decay):
    optimizer = keras.optimizers.SGD(rate, weight_decay=decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
