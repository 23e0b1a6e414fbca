"""The vector of the first token, as some encoders use it."""

# loses: mean_of_tokens_any_text, mean_of_tokens_empty_text


# %% mean_of_tokens
def mean_of_tokens(vectors, mask):
    return vectors[:, 0] * mask[:, :1]
