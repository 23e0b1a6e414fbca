"""BatchNorm learns in the stages that learn."""

# loses: freeze_stages_holds_batchnorm


# %% freeze_stages
def freeze_stages(backbone, stage):
    names = [layer.name for layer in backbone.model.layers]
    last_frozen = names.index(backbone.stage_ends[stage - 1]) if stage else 0
    backbone.model.trainable = True
    for i, layer in enumerate(backbone.model.layers):
        layer.trainable = i > last_frozen
