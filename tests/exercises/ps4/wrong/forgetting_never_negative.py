"""A source that is read better counts as 0."""

# loses: measure_forgetting_any_tuning


# %% measure_forgetting
def measure_forgetting(backbone, source_head, source_test, tune):
    model = tlkit.join(backbone.model, source_head)
    before = tlkit.accuracy(model, source_test)
    tune()
    return max(0, before - tlkit.accuracy(model, source_test))
