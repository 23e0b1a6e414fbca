"""Images ask for texts, and texts ask for nothing."""

# loses: contrastive_loss_any_batch, contrastive_loss_large_logits


# %% contrastive_loss
def contrastive_loss(images, texts, temperature):
    images, texts = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (images, texts))
    logits = images @ texts.T / temperature
    logits -= logits.max(axis=1, keepdims=True)
    return -np.mean(np.diag(logits) - np.log(np.exp(logits).sum(axis=1)))
