"""The share of the partner is kept above 1e-12: finite, and wrong where the partner is far away."""

# loses: nt_xent_low_temperature


# %% nt_xent
def nt_xent(a, b, temperature):
    z = np.concatenate([a, b])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    logits = z @ z.T / temperature

    np.fill_diagonal(logits, -np.inf)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    n = len(a)
    shares = powers[np.arange(2 * n), np.r_[n : 2 * n, :n]] / powers.sum(axis=1)
    return -np.mean(np.log(np.maximum(shares, 1e-12)))
