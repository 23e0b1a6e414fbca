"""One sum over the whole batch."""

# loses: softmax_examples, softmax_any_logits, softmax_large_logits


# %% softmax
def softmax(Z):
    powers = np.exp(Z - Z.max())
    return powers / powers.sum()
