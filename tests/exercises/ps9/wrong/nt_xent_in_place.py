"""The views are divided by their lengths in place."""

# loses: nt_xent_keeps_inputs


# %% nt_xent
def nt_xent(a, b, temperature):
    for x in (a, b):
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    z = np.concatenate([a, b])
    logits = z @ z.T / temperature
    np.fill_diagonal(logits, -np.inf)
    n = len(a)
    m = logits.max(axis=1)
    return np.mean(m + np.log(np.exp(logits - m[:, None]).sum(axis=1)) - logits[np.arange(2 * n), np.r_[n : 2 * n, :n]])
