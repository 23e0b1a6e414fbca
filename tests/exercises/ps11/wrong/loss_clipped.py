"""Probabilities below 1e-7 are lifted to it."""

# loses: contrastive_loss_large_logits


# %% contrastive_loss
def contrastive_loss(images, texts, temperature):
    images, texts = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (images, texts))
    logits, losses = images @ texts.T / temperature, []
    for table in (logits, logits.T):
        powers = np.exp(table - table.max(axis=1, keepdims=True))
        losses.append(-np.log(np.maximum(np.diag(powers) / powers.sum(axis=1), 1e-7)).mean())
    return sum(losses) / 2
