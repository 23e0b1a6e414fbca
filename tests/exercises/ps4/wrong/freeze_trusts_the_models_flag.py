"""Unfreezes by the model's flag, which does not reach layers that were frozen one by one."""

# loses: freeze_stages_lets_the_rest_learn


# %% freeze_stages
def freeze_stages(backbone, stage):
    names = [layer.name for layer in backbone.model.layers]
    last_frozen = names.index(backbone.stage_ends[stage - 1]) if stage else 0
    backbone.model.trainable = True
    for i, layer in enumerate(backbone.model.layers):
        if i <= last_frozen or isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
