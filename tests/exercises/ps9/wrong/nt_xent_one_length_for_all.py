"""All vectors are divided by the mean length."""

# loses: nt_xent_any_length, nt_xent_low_temperature


# %% nt_xent
def nt_xent(a, b, temperature):
    z = np.concatenate([a, b])
    z = z / np.linalg.norm(z, axis=1).mean()
    logits = z @ z.T / temperature
    np.fill_diagonal(logits, -np.inf)
    n = len(a)
    m = logits.max(axis=1)
    return np.mean(m + np.log(np.exp(logits - m[:, None]).sum(axis=1)) - logits[np.arange(2 * n), np.r_[n : 2 * n, :n]])
