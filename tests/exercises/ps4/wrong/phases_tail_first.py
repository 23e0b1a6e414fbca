"""The tail below a random head first, then the head."""

# loses: two_phases_head_first, two_phases_then_the_tail, two_phases_lower_rate


# %% two_phases
def two_phases(backbone, head, train, stage, learning_rate, fit):
    model = tlkit.join(backbone.model, head)
    freeze_stages(backbone, stage)
    fit(model, train, learning_rate / 10)
    freeze_stages(backbone, backbone.n_stages)
    fit(model, train, learning_rate)
