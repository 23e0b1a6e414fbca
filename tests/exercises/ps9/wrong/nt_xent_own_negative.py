"""A view is one of its own negatives."""

# loses: nt_xent_examples, nt_xent_any_views, nt_xent_any_length, nt_xent_low_temperature


# %% nt_xent
def nt_xent(a, b, temperature):
    z = np.concatenate([a, b])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    logits = z @ z.T / temperature

    n = len(a)
    partner = np.r_[n : 2 * n, :n]
    m = logits.max(axis=1)
    return np.mean(m + np.log(np.exp(logits - m[:, None]).sum(axis=1)) - logits[np.arange(2 * n), partner])
