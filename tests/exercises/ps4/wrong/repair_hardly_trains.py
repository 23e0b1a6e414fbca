"""All as it should be, at a rate that leads nowhere."""

# loses: repaired_learns


# %% repaired
def repaired(backbone, head, train):
    tlkit.fine_tune(backbone, head, train, stage=backbone.n_stages - 1, epochs=1, learning_rate=1e-4, two_phase=True)
    return tlkit.join(backbone.model, head)
