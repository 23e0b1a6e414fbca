"""The head stands still in the second phase."""

# loses: two_phases_then_the_tail


# %% two_phases
def two_phases(backbone, head, train, stage, learning_rate, fit):
    model = tlkit.join(backbone.model, head)
    freeze_stages(backbone, backbone.n_stages)
    fit(model, train, learning_rate)
    freeze_stages(backbone, stage)
    head.trainable = False
    fit(model, train, learning_rate / 10)
