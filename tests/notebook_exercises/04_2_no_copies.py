import numpy as np


def moved_layers(model, train):
    before = {layer.name: layer.weights for layer in model.layers}
    train(model)
    return [layer.name for layer in model.layers if not all(map(np.array_equal, before[layer.name], layer.weights))]
