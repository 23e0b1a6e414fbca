"""Both scores after the fine-tuning."""

# loses: measure_forgetting_any_tuning


# %% measure_forgetting
def measure_forgetting(backbone, source_head, source_test, tune):
    model = tlkit.join(backbone.model, source_head)
    tune()
    before = tlkit.accuracy(model, source_test)
    return before - tlkit.accuracy(model, source_test)
