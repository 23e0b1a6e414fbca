"""Sorts the sentences by length, and leaves them sorted."""

# loses: embed_any_encoder


# %% embed
def embed(encoder, ids):
    order = np.argsort((ids != 0).sum(axis=1), kind="stable")
    return np.asarray(encoder(ids[order], training=False))
