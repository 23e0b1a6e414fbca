"""A sentence without a token is 0 / 0."""

# loses: mean_of_tokens_empty_text


# %% mean_of_tokens
def mean_of_tokens(vectors, mask):
    return (vectors * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
