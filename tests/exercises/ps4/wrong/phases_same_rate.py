"""The tail learns as fast as the head."""

# loses: two_phases_lower_rate


# %% two_phases
def two_phases(backbone, head, train, stage, learning_rate, fit):
    model = tlkit.join(backbone.model, head)
    freeze_stages(backbone, backbone.n_stages)
    fit(model, train, learning_rate)
    freeze_stages(backbone, stage)
    fit(model, train, learning_rate)
