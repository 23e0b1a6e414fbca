"""Only the first views ask for their partners; the examples look the same from both sides."""

# loses: nt_xent_any_views, nt_xent_any_length, nt_xent_any_order, nt_xent_low_temperature


# %% nt_xent
def nt_xent(a, b, temperature):
    z = np.concatenate([a, b])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    logits = z @ z.T / temperature

    np.fill_diagonal(logits, -np.inf)
    n = len(a)
    m = logits.max(axis=1)
    losses = m + np.log(np.exp(logits - m[:, None]).sum(axis=1)) - logits[np.arange(2 * n), np.r_[n : 2 * n, :n]]
    return losses[:n].mean()
