"""Dropout stays on."""

# loses: embed_any_encoder


# %% embed
def embed(encoder, ids):
    return np.asarray(encoder(ids, training=True))
