def layers_moved(model, x, y):
    return {layer.name for layer in model.layers if layer.trainable_weights}
