"""In the second phase the whole backbone learns."""

# loses: repaired_keeps_the_rest


# %% repaired
def repaired(backbone, head, train):
    model = tlkit.join(backbone.model, head)
    for stage in (backbone.n_stages, 0):
        tlkit.freeze_to(backbone, stage)
        tlkit.fit(model, train, epochs=15, learning_rate=0.02)
    return model
