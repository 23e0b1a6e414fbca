"""The negatives are those of the other view alone, as in CLIP."""

# loses: nt_xent_examples, nt_xent_any_views, nt_xent_any_length, nt_xent_low_temperature


# %% nt_xent
def nt_xent(a, b, temperature):
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    logits = a @ b.T / temperature
    losses = []
    for rows in (logits, logits.T):
        m = rows.max(axis=1)
        losses.append(m + np.log(np.exp(rows - m[:, None]).sum(axis=1)) - np.diag(rows))
    return np.mean(losses)
