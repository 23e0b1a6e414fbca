"""Powers of the logits as they are: they overflow at a low temperature."""

# loses: nt_xent_low_temperature


# %% nt_xent
def nt_xent(a, b, temperature):
    z = np.concatenate([a, b])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    logits = z @ z.T / temperature

    powers = np.exp(logits) * (1 - np.eye(len(z)))
    n = len(a)
    return -np.mean(np.log(powers[np.arange(2 * n), np.r_[n : 2 * n, :n]] / powers.sum(axis=1)))
