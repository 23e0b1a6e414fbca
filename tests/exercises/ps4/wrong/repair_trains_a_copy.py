"""A copy of the backbone is fine-tuned: what was handed in stays as it was."""

# loses: repaired_tunes_the_last_stage, repaired_learns


# %% repaired
def repaired(backbone, head, train):
    copy = keras.models.clone_model(backbone.model)
    copy.set_weights(backbone.model.get_weights())
    copied = tlkit.wrap_backbone(copy, backbone.stage_ends, "copy")
    own_head = keras.models.clone_model(head)
    tlkit.fine_tune(copied, own_head, train, stage=copied.n_stages - 1, epochs=15, learning_rate=0.02, two_phase=True)
    return tlkit.join(copy, own_head)
