"""The whole backbone learns, and for two steps only."""

# loses: repaired_keeps_the_rest, repaired_learns


# %% repaired
def repaired(backbone, head, train):
    model = tlkit.join(backbone.model, head)
    tlkit.freeze_to(backbone, 0)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    model.fit(train.x, train.y, verbose=0)
    return model
