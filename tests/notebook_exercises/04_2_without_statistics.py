import numpy as np


def moved_layers(model, train):
    before = {layer.name: [w.numpy() for w in layer.trainable_weights] for layer in model.layers}
    train(model)
    after = {layer.name: [w.numpy() for w in layer.trainable_weights] for layer in model.layers}
    return [name for name in before if not all(map(np.array_equal, before[name], after[name]))]
