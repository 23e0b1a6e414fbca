import numpy as np


def layers_moved(model, x, y):
    before, weights = (
        {layer.name: [np.array(v) for v in layer.trainable_variables] for layer in model.layers},
        [np.array(v) for v in model.weights],
    )
    model.fit(x, y, verbose=0)
    moved = {
        layer.name
        for layer in model.layers
        if any(
            (old != np.array(new)).any() for old, new in zip(before[layer.name], layer.trainable_variables, strict=True)
        )
    }
    model.set_weights(weights)
    return moved
