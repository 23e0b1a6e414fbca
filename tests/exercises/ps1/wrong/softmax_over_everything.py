"""One sum over the whole batch."""

# loses: softmax_examples, softmax_any_logits, softmax_large_logits, logit_gradient_any_labels, head_gradients_any_head


# %% softmax
def softmax(Z):
    powers = np.exp(Z - Z.max())
    return powers / powers.sum()
