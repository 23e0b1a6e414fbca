"""After minus before."""

# loses: measure_forgetting_any_tuning


# %% measure_forgetting
def measure_forgetting(backbone, source_head, source_test, tune):
    model = tlkit.join(backbone.model, source_head)
    before = tlkit.accuracy(model, source_test)
    tune()
    return tlkit.accuracy(model, source_test) - before
