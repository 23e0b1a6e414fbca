import numpy as np


def layers_moved(model, x, y):
    before = {layer.name: layer.get_weights() for layer in model.layers}
    model.fit(x, y, verbose=0)
    return {
        layer.name
        for layer in model.layers
        if not all(np.array_equal(*both) for both in zip(before[layer.name], layer.get_weights(), strict=True))
    }
