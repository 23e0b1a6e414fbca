"""The tail learns from the start."""

# loses: two_phases_head_first


# %% two_phases
def two_phases(backbone, head, train, stage, learning_rate, fit):
    model = tlkit.join(backbone.model, head)
    freeze_stages(backbone, stage)
    fit(model, train, learning_rate)
    fit(model, train, learning_rate / 10)
