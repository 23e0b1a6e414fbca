def moved_layers(model, train):
    train(model)
    return [layer.name for layer in model.layers if layer.trainable and layer.weights]
