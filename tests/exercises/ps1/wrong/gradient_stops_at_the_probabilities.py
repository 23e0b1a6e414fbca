"""-y / y_hat, the derivation that stops too early."""

# loses: logit_gradient_examples, logit_gradient_any_labels


# %% logit_gradient
def logit_gradient(Z, Y):
    return -Y / softmax(Z) / len(Z)
