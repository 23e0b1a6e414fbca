"""Sorted: of a tie the first one wins."""

# loses: top_k_ties


# %% top_k
def top_k(similarities, text_of, k):
    texts = [t in np.argsort(-row, kind="stable")[:k] for row, t in zip(similarities, text_of, strict=True)]
    first = np.argsort(-similarities, axis=0, kind="stable")[:k]
    images = [t in text_of[first[:, t]] for t in range(similarities.shape[1])]
    return np.mean(texts), np.mean(images)
