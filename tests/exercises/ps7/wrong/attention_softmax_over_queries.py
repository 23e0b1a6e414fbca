"""The weights sum to 1 over the queries."""

# loses: attention_any_text, attention_skips_padding, attention_large_scores


# %% attention
def attention(q, k, v, mask):
    scores = q @ np.swapaxes(k, 1, 2) / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = weights / weights.sum(axis=1, keepdims=True) * mask[:, None, :]
    return weights @ v, weights
