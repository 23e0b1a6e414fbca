"""The formula as it stands: its exponentials overflow."""

# loses: contrastive_loss_large_logits


# %% contrastive_loss
def contrastive_loss(images, texts, temperature):
    images, texts = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (images, texts))
    powers = np.exp(images @ texts.T / temperature)
    own = np.diag(powers)
    return -np.mean(np.log(own / powers.sum(axis=1)) + np.log(own / powers.sum(axis=0))) / 2
