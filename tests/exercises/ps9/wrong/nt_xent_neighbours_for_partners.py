"""Takes rows 0 and 1, 2 and 3 for pairs, as if the views stood in turn."""

# loses: nt_xent_examples, nt_xent_any_views, nt_xent_any_length, nt_xent_any_order, nt_xent_low_temperature


# %% nt_xent
def nt_xent(a, b, temperature):
    z = np.concatenate([a, b])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    logits = z @ z.T / temperature

    np.fill_diagonal(logits, -np.inf)
    m = logits.max(axis=1)
    every = np.arange(len(z))
    return np.mean(m + np.log(np.exp(logits - m[:, None]).sum(axis=1)) - logits[every, every ^ 1])
