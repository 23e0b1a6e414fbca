"""The flags change after the second fit."""

# loses: two_phases_then_the_tail


# %% two_phases
def two_phases(backbone, head, train, stage, learning_rate, fit):
    model = tlkit.join(backbone.model, head)
    freeze_stages(backbone, backbone.n_stages)
    fit(model, train, learning_rate)
    fit(model, train, learning_rate / 10)
    freeze_stages(backbone, stage)
